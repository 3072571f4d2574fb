"""The commits of a run as a list and as choices, and what the last roll back left behind."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pandas as pd

from flnb.coordinator.history.walk import KnownRound, Walk

_MOST = 200
_COLUMNS = ["round", "branch", "generation", "on_line", "commit", "names", "which"]


@dataclass(frozen=True, slots=True)
class Undo:
    """A roll back that can be undone."""

    to: str
    """Name of what it left behind; rolling back to it is the undo."""
    head: tuple[int, int]
    """Generation and round that the head was moved to; nothing is undone once it has gone on."""
    actor: str
    reason: str
    at: datetime


def undo_of(given: Sequence[Mapping[str, Any]], log: pd.DataFrame) -> Undo | None:
    """What could be undone of the last roll back of a branch; None without one that left something.

    Args:
        given: All that names meant, see `queries.aliases`.
        log: `at actor branch reason details` of that roll back in the operations log, or no row.
    """
    if not len(log):
        return None
    one = log.iloc[0]
    details = json.loads(one["details"])
    generation = details["left"][1]
    branch = "" if one["branch"] == "main" else f"{one['branch']}-"
    kept = f"before-rollback-{branch}{generation}"
    if kept not in {known["name"] for known in given}:
        return None
    after = details["base"][-1] if details["base"] else 0
    head, at = (generation + 1, after), one["at"].to_pydatetime()
    return Undo(kept, head, one["actor"], one["reason"], at)


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


def _which(one: KnownRound) -> str:
    if one.on_line:
        return str(one.round)
    return f"@{one.names.split(', ')[0]}" if one.names else ""
