"""Why a cell of a study stands as it does, in a few words."""

from __future__ import annotations

from flnb.store import StudyCell


def reason(cell: StudyCell) -> str:
    """Why a cell is not finished, and in which cell of its recipe; or else whose result it takes over."""
    where = f"cell {cell.failed_cell} of the recipe: " if cell.failed_cell else ""
    return (
        where + cell.why.partition("\n")[0] if cell.why else cell.origin and f"from {cell.origin}"
    )
