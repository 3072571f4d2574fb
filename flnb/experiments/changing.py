"""What is other than before when a study is executed again, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import flnb
from flnb.core.errors import RoundStateError
from flnb.experiments.key import SMOKE
from flnb.experiments.planning import Before
from flnb.experiments.recipe import Recipe
from flnb.store import Outcome, StudyCell, StudyRecord

FLNB = "flnb"
"""Under what the version stands in the row of a study, beside what its file says."""


def undecided(before: StudyRecord, recipe: Recipe, n_stale: int) -> RoundStateError:
    """What somebody is told who does not say what is to become of finished cells.

    Args:
        before: The study as it was executed.
        recipe: As it is by now.
        n_stale: How many finished cells have other keys by now.
    """
    return RoundStateError(
        f"{_what_changed(before, recipe)} changed since {n_stale} of the cells that study "
        f"{before.name!r} asks for were finished",
        hint="changed='keep' (--keep) lets them count, marked; changed='beside' (--beside) "
        "executes all anew and leaves them as they are",
    )


def _what_changed(before: StudyRecord, recipe: Recipe) -> str:
    """Why finished cells have other keys by now, in words."""
    if cells := recipe.changes(before.code):
        return f"{' and '.join(cells)} of {recipe.path.name}"
    was = before.asked_for.get(FLNB)
    if was != flnb.__version__:
        return f"flnb (was {was}, is {flnb.__version__})"
    return "the data that the recipe names"


def check_size(
    planned: Sequence[StudyCell], known: Sequence[StudyCell], defaults: Mapping[str, Any]
) -> None:
    """Refuse to let cells of another size count for those that are left, where there are no others to keep.

    Args:
        planned: What is asked for now.
        known: What became of all that was asked for before.
        defaults: Of the recipe's parameters now.

    Raises:
        RoundStateError: Of a cell that is left a result is there of smoke size, and this is not, or the
            other way round.
    """
    left = [cell for cell in planned if cell.outcome is not Outcome.FINISHED]
    before = Before([one for one in known if one.outcome is Outcome.FINISHED], defaults)
    # A row of before is listed once, also where several that are left are given the same.
    listed = {
        one.key: one for cell in left for one in before.alike(cell) if one.smoke != cell.smoke
    }
    others = list(listed.values())
    if others:
        was, is_ = ("smoke size", "full size") if others[0].smoke else ("full size", "smoke size")
        raise RoundStateError(
            f"{len(others)} finished cells were executed at {was}, and this is {is_}: none of them counts here",
            hint=f"{SMOKE}=1 in the environment makes smoke size; without --keep both stay, side by side",
        )


def differences(planned: Sequence[StudyCell], known: Sequence[StudyCell]) -> list[str]:
    """What is asked for that was not before, and the other way round, of a study that was executed."""
    before = {cell.key for cell in known if cell.asked}
    now = {cell.key for cell in planned}
    if not before or before == now:
        return []
    notes = [f"{len(now - before)} cells are new"] if now - before else []
    gone = before - now
    if gone:
        finished = sum(cell.key in gone and cell.outcome is Outcome.FINISHED for cell in known)
        notes.append(
            f"{len(gone)} cells are no longer asked for, {finished} of them finished: they stay"
        )
    return notes
