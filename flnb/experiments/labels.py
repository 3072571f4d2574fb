"""Why a cell of a study stands as it does, and why a study ended, in a few words."""

from __future__ import annotations

from collections.abc import Sequence

from flnb.core.errors import FLBaseError
from flnb.store import StudyCell, labelled, varying


def reason(cell: StudyCell) -> str:
    """Why a cell is not finished, and in which cell of its recipe; or else whose result it takes over."""
    where = f"cell {cell.failed_cell} of the recipe: " if cell.failed_cell else ""
    return (
        where + cell.why.partition("\n")[0] if cell.why else cell.origin and f"from {cell.origin}"
    )


def lines(cells: Sequence[StudyCell]) -> list[tuple[str, str, str, float, str]]:
    """Each cell of a study for a person: what tells it from the others, outcome, run, seconds, why."""
    names = varying([one for one in cells if one.asked])  # as in SQL
    return [
        (labelled(one, names), str(one.outcome), one.run, one.seconds_s, reason(one))
        for one in cells
    ]


def failure(error: BaseException) -> str:
    """Why a study could not be executed further, in one line."""
    if isinstance(error, FLBaseError):
        return error.message.partition("\n")[0]
    return f"{type(error).__name__}: {error}".partition("\n")[0].rstrip(": ")
