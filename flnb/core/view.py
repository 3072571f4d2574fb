"""A picture of a run at one moment, for everything that shows it.

The coordinator's thread makes a new `RunView` whenever something changes and swaps the reference;
a repr, a live frame or a terminal table reads the last one. Showing a run therefore never does I/O.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class Status(StrEnum):
    """What a run is doing."""

    RUNNING = "running"
    WAITING = "waiting"
    """Goes on as soon as enough clients are here."""
    PAUSING = "pausing"
    """Asked to pause; finishes the open round first."""
    PAUSED = "paused"
    STOPPED = "stopped"
    """Ended by a person; what is there stays."""
    FINISHED = "finished"
    FAILED = "failed"
    INTERRUPTED = "interrupted"
    """Was running when its process died; `resume` carries on."""

    @property
    def over(self) -> bool:
        """Whether nothing more happens without a command."""
        return self not in {Status.RUNNING, Status.WAITING, Status.PAUSING}


class Phase(StrEnum):
    """What the open round is doing."""

    WAITING = "waiting"
    COLLECTING = "collecting"
    AGGREGATING = "aggregating"
    COMPLETE = "complete"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class RoundRow:
    """A closed round as one line of a table."""

    round: int
    metrics: Mapping[str, float]
    """Central metrics (`accuracy`, `loss` …) and `train_loss`."""
    accepted: int
    invited: int
    refused: int
    """Refused or failed."""
    seconds: float
    commit: str = ""
    """Short id of the round's commit; empty when the round was not written to history."""
    branch: str = ""
    """On which it was done: its run's, or one that leads to it; empty where that was not told."""


@dataclass(frozen=True, slots=True)
class RunView:
    """A picture of a run at one moment."""

    name: str
    branch: str
    generation: int
    status: Status
    rounds: int
    """Rounds planned."""
    round: int = 0
    """The last closed round; 0 before the first."""
    phase: Phase = Phase.WAITING
    open_round: int = 0
    """The round that is open; 0 when none is. Others may be closed and not durable yet."""
    invited: int = 0
    """Clients of the open round, and what became of them so far."""
    accepted: int = 0
    refused: int = 0
    lost: int = 0
    awaited: int = 0
    """Clients without whom the next round does not begin; 0 when enough are here."""
    here: int = 0
    """How many of them are here."""
    bytes_up: int = 0
    """What the accepted updates of the run weigh on a wire."""
    started_at: datetime | None = None
    seconds_a_round: float = 0.0
    """Median of the last rounds."""
    rows: tuple[RoundRow, ...] = ()
    """The last eight closed rounds, newest first."""
    headline: str = ""
    """Name of the metric that is drawn, such as `accuracy`."""
    curve: tuple[tuple[int, float], ...] = field(default=(), repr=False)
    """(round, headline metric), thinned to at most 200 points."""
    error: str = ""
    """Why the run is paused or failed, with its hint."""
    noted: str = ""
    """What a guard found last, since somebody looks."""
    lab: str = ""

    @property
    def awaits(self) -> bool:
        """Whether it waits for clients."""
        return self.status is Status.WAITING and self.awaited > 0

    @property
    def left_s(self) -> float:
        """Seconds that the remaining rounds will take at the present pace."""
        return max(0, self.rounds - self.round) * self.seconds_a_round
