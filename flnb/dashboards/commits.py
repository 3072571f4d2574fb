"""The commits of a run as a list and as choices, and what the last roll back left behind."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime

import pandas as pd

from flnb.coordinator.history.walk import KnownRound, Walk
from flnb.core.ids import RunId
from flnb.core.view import RunView
from flnb.store import RoundKey

_MOST = 200
_COLUMNS = ["round", "branch", "generation", "on_line", "commit", "names", "which"]


@dataclass(frozen=True, slots=True)
class Undo:
    """A roll back that can be undone."""

    to: str
    """Name of what it left behind; rolling back to it is the undo."""
    round: int
    """Where the head was moved to."""
    actor: str
    reason: str
    at: datetime


def undo_of(walk: Walk, log: pd.DataFrame, view: RunView) -> Undo | None:
    """What can be undone of the last roll back of a branch.

    Args:
        walk: The history of the run.
        log: `at actor reason details` of that roll back in the operations log, or no row.
        view: The branch as it stands.

    Returns:
        None without one, where it left nothing, and once the branch has gone on.
    """
    if not len(log):
        return None
    one = log.iloc[0]
    details = json.loads(one["details"])
    run, generation, round_ = details["left"]
    after = details["base"][-1] if details["base"] else 0
    if (view.generation, view.round) != (generation + 1, after):
        return None
    left = RoundKey(RunId(run), generation, round_)
    names = next((known.names for known in walk.rounds if known.key == left), "")
    kept = [name for name in names.split(", ") if name.startswith("before-rollback-")]
    if not kept:
        return None
    return Undo(kept[0], after, one["actor"], one["reason"], one["at"].to_pydatetime())


def commits(walk: Walk, measured: pd.DataFrame) -> pd.DataFrame:
    """Every committed round, those of the line first, the newest first.

    Args:
        walk: The history of a run.
        measured: `round value` of the line.

    Returns:
        `round branch generation on_line commit names which value`; `which` finds it again, and is
        empty of one that has neither a name nor a place on the line.
    """
    found = [one for one in walk.rounds if one.commit]
    found.sort(key=lambda one: (one.on_line, one.round, one.generation), reverse=True)
    frame = pd.DataFrame(
        [
            (one.round, one.branch, one.generation, one.on_line, one.commit, one.names, _which(one))
            for one in found
        ],
        columns=_COLUMNS,
    )
    values = dict(zip(measured["round"], measured["value"], strict=True))
    value = [values.get(one.round) if one.on_line else None for one in found]
    return frame.assign(value=pd.Series(value, dtype=float))


def choices(walk: Walk, *also: str) -> list[str]:
    """What can be chosen: the head, the best, names, and the newest rounds of the line."""
    names = [name for one in walk.rounds for name in one.names.split(", ") if name]
    line = [str(key.round) for key in reversed(walk.commits())][:_MOST]
    named = ["@head", "@best", *(f"@{name}" for name in dict.fromkeys(names))]
    return [*dict.fromkeys(one for one in (*named, *line, *also) if one)]


def which_of(text: str) -> int | str:
    """A choice as history takes it: a number, or a name.

    Examples:
        >>> which_of("30"), which_of("@best")
        (30, '@best')
    """
    return int(text) if text.isdigit() else text


def _which(one: KnownRound) -> str:
    if one.on_line:
        return str(one.round)
    return f"@{one.names.split(', ')[0]}" if one.names else ""
