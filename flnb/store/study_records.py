"""What the state database holds of studies, as frozen records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

KEPT = "key "
"""How the origin of a cell begins whose result was kept when its key changed; the key of before follows."""


class Outcome(StrEnum):
    """What became of a cell of a study."""

    WAITING = "waiting"
    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"
    CUT_OFF = "cut off"
    """Its runner or its kernel was ended from outside; it goes on from the last commit."""
    OUT_OF_TIME = "out of time"

    @property
    def goes_on(self) -> bool:
        """Whether the next runner executes it without being told to."""
        return self in {Outcome.WAITING, Outcome.RUNNING, Outcome.CUT_OFF}


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyRecord:
    """A study: which recipe, and what was asked for last."""

    name: str
    """Unique in its lab."""
    notebook: str
    """Where the recipe lay."""
    asked_for: Mapping[str, Any]
    """JSON of the study file: axes, seeds, deadline."""
    code: tuple[str, ...]
    """Digest of each code cell of the recipe, in order."""
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyCell:
    """One cell of a study's grid, and what became of it."""

    study: str
    key: str
    """Its identity for ever: hash of code, parameters, seed, flnb's version and data."""
    position: int
    """Place in the order in which cells were asked for, from 0."""
    parameters: Mapping[str, Any]
    """Every parameter of the recipe, defaults included, as JSON."""
    seed: int | None = None
    asked: bool = True
    """Whether the study still asks for it; finished cells stay when its axes change."""
    outcome: Outcome = Outcome.WAITING
    why: str = ""
    """Why it is not finished, in words."""
    run: str = ""
    """Name of its run; empty while there is none."""
    origin: str = ""
    """Empty of a cell that this study executed; otherwise whose result it takes over."""
    began_at: datetime | None = None
    ended_at: datetime | None = None
    seconds_s: float = 0.0
    """What all its attempts took together."""
    attempts: int = 0
    failed_cell: int | None = None
    """Number of the notebook's cell that failed, from 1, among those that hold code."""
    notebook: str = ""
    """Where the executed notebook lies; empty while there is none."""
    page: str = ""
    """Where it lies as HTML."""
    log: str = ""
    """Where the words of its worker and kernel lie."""
    smoke: bool = False
    """Whether its recipe was to do as little as shows that it works."""

    @property
    def kept(self) -> bool:
        """Whether it is the result of another recipe, or other data, that somebody lets count here."""
        return self.origin.startswith(KEPT)


@dataclass(frozen=True, slots=True)
class Claim:
    """Whether a cell may be executed now."""

    mine: bool
    cell: StudyCell
    """As it stands: begun, or finished because another study finished its key."""
    elsewhere: str = ""
    """The study that executes this key at this moment."""
