"""The commits of a run as a list and as choices."""

from __future__ import annotations

import pandas as pd

from flnb.coordinator.history.walk import KnownRound, Walk

_MOST = 200
_COLUMNS = ["round", "branch", "generation", "on_line", "commit", "names", "which"]


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
