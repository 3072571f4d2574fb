"""A study as people hold it: cells, what became of them, and how they are executed."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Self

import flnb
from flnb.core.errors import PlanError, RoundStateError
from flnb.experiments import planning, rows, showing
from flnb.experiments.desk import Desk
from flnb.experiments.grid import Optuna
from flnb.experiments.holding import Holding, runner_of
from flnb.experiments.key import DataFingerprints
from flnb.experiments.labels import label
from flnb.experiments.recipe import Recipe
from flnb.experiments.runner import Runner
from flnb.experiments.showing import StudyView
from flnb.experiments.study_file import StudyFile
from flnb.store import Outcome, StudyCell, StudyRecord

if TYPE_CHECKING:
    import pandas as pd

    from flnb.coordinator import Lab

KEEP, BESIDE = "keep", "beside"
FLNB = "flnb"
"""Under what the version stands in the row, beside what the study file says."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}")


class Study:
    """A recipe and what to execute it with, in a lab; made by `lab.study`.

    Nothing is written before `run`. One that was executed before can be looked at without its recipe.

    Args:
        lab: Where its runs, rows and notebooks go.
        name: What it is called; unique in the lab.
        asked: What it asks for.

    Raises:
        PlanError: The name cannot be one.
    """

    def __init__(self, lab: Lab, name: str, asked: StudyFile) -> None:
        if not _NAME.fullmatch(name):
            raise PlanError(
                f"{name!r} cannot be the name of a study",
                hint="letters, digits, _ and -, at most 40: it is part of names of runs and folders",
            )
        self.lab, self.name, self.asked = lab, name, asked
        self._planner: planning.Planner | None = None
        self.interrupted = False
        """Whether the last `run` ended by ^C."""

    def check(self) -> planning.Planner:
        """Read the recipe as it is by now, and check everything that is asked of it.

        Raises:
            RecipeError: The recipe cannot be read, or not be given a value; says which.
            PlanError: The axes cannot be.
            DataError: The recipe names data that is not there.
        """
        recipe = Recipe.read(self.asked.notebook)
        beside = DataFingerprints(recipe.path.parent)
        planner = planning.Planner(self.name, recipe, self.asked, beside)
        planner.check()
        planner.cells([], {})
        self._planner = planner
        return planner

    # --- what there is --------------------------------------------------------------------------

    @property
    def cells(self) -> Sequence[StudyCell]:
        """Those that it asks for, with what became of them; then those that it asked for before."""
        known = self.lab.store.state.study_cells(self.name)
        if self._planner is None or (isinstance(self.asked.search, Optuna) and known):
            return known  # of Optuna, what is asked for next follows from measures: `run` asks
        planned = self._planner.cells(known, {})
        keys = {cell.key for cell in planned}
        return [*planned, *(replace(cell, asked=False) for cell in known if cell.key not in keys)]

    @property
    def status(self) -> StudyView:
        """How many cells are finished, failed, running, waiting."""
        return StudyView.of(self.name, self.cells, note=self._held())

    def _held(self) -> str:
        holder = runner_of(self.lab.store, self.name)
        return f"executed by {holder}" if holder is not None else ""

    def df(self) -> pd.DataFrame:
        """One row a cell: parameters, seed, outcome, run, and what the run was measured by.

        See `flnb.experiments.rows.frame` for the columns. Those of metrics are the values of the last
        round, and the best ones as `best_…`.
        """
        return rows.frame(self.lab, self.cells)

    def lines(self) -> list[tuple[str, str, str, float, str]]:
        """Each cell for a person: what tells it from the others, outcome, run, seconds, why."""
        cells = self.cells
        return [
            (label(one, cells), str(one.outcome), one.run, one.seconds_s, _why(one))
            for one in cells
        ]

    def report(self, path: str | Path) -> Path:
        """Write the study as one HTML file, which opens anywhere, offline; returns where it lies.

        The grid, curves with bands over seeds, means with a paired test, what it cost, and what it was
        computed with; its numbers are those of `df()`.

        Args:
            path: Such as `alpha.html`; a file of before is replaced.

        Raises:
            StoreError: The file cannot be written.
        """
        from flnb.experiments.report import of_study  # pandas and the drawings take half a second

        return of_study.write(self, path)

    # --- executing it ---------------------------------------------------------------------------

    def run(
        self,
        workers: int | None = None,
        timeout_s: float | None = None,
        *,
        retry: bool = False,
        changed: str = "",
    ) -> Self:
        """Execute what is not finished; returns when nothing is left to do.

        The first ^C lets what runs finish and begins nothing new; a second one interrupts the
        kernels, whose runs go on from their last commits another time.

        Args:
            workers: Cells at a time, each in a kernel of its own; by default what the study says.
            timeout_s: Longest time of a cell; by default what the study says. Its kernel is
                interrupted then, and killed ten seconds later.
            retry: Whether failed cells and those that ran out of time are executed again.
            changed: What to do when the recipe, its data or flnb changed since cells were finished:
                `keep` lets those count, marked in `df()`; `beside` executes all anew.

        Raises:
            StudyHeldError: Another process executes this study.
            RoundStateError: Something changed, and `changed` does not say what to do.
            PlanError: `workers` or `timeout_s` cannot be.
            RecipeError: The recipe can no longer be given what is asked for.
        """
        given = {"workers": workers, "timeout_s": timeout_s}
        given = {name: value for name, value in given.items() if value is not None}
        asked = self.asked.replace(**given)
        if changed not in {"", KEEP, BESIDE}:
            raise PlanError(f"changed={changed!r}", hint=f"{KEEP!r} or {BESIDE!r}")
        planner = self.check()
        self._introduce(planner.recipe)
        with Holding(self.lab.store, self.name) as holding:
            notes = self._ask(planner, changed)
            display = showing.here()
            for note in notes:
                display.say(note)
            desk, n, longest_s = (
                Desk(self.lab, planner, retry=retry),
                asked.workers,
                asked.timeout_s,
            )
            runner = Runner(desk, holding, workers=n, timeout_s=longest_s, display=display)
            self.interrupted = not runner.run()
        return self

    def retry(self, workers: int | None = None, timeout_s: float | None = None) -> Self:
        """Execute failed cells and those that ran out of time again, and what is left; see `run`.

        Raises:
            StudyHeldError: Another process executes this study.
            RoundStateError: The recipe, its data or flnb changed since cells were finished.
            PlanError: `workers` or `timeout_s` cannot be.
        """
        return self.run(workers, timeout_s, retry=True)

    def _introduce(self, recipe: Recipe) -> None:
        """A new study has a row before it is held."""
        if self.name not in {record.name for record in self.lab.store.state.studies()}:
            self.lab.store.state.put_study(self._record(recipe))

    def _record(self, recipe: Recipe) -> StudyRecord:
        now = self.lab.store.clock.now()
        asked = self.asked.model_dump(mode="json", exclude_defaults=True)
        return StudyRecord(
            name=self.name,
            notebook=str(recipe.path.absolute()),
            asked_for=asked | {FLNB: flnb.__version__},
            code=recipe.digests,
            created_at=now,
            updated_at=now,
        )

    def _ask(self, planner: planning.Planner, changed: str) -> list[str]:
        """Write what is asked for from now on; returns what is other than before, in words."""
        state = self.lab.store.state
        before, known = state.study(self.name), state.study_cells(self.name)
        planned = planner.cells(known, {})
        stale = planning.stale(planned, known, planner.recipe.parameters.defaults)
        if stale and not changed:
            raise RoundStateError(
                f"{_what_changed(before, planner.recipe)} changed since {len(stale)} of the cells that study "
                f"{self.name!r} asks for were finished",
                hint="changed='keep' (--keep) lets them count, marked; changed='beside' (--beside) "
                "executes all anew and leaves them as they are",
            )
        state.put_study(self._record(planner.recipe))
        notes = _differences(planned, known)
        if changed == BESIDE:
            for cell in planned:
                if cell.kept:  # for this study; what it was kept from stays
                    state.put_cell(planning.anew(cell))
        if stale and changed == KEEP:
            state.ask_for_cells(self.name, planned)
            state.keep_cells(stale)
            notes.append(f"{len(stale)} finished cells are kept from before the change")
        return notes

    # --- looks ----------------------------------------------------------------------------------

    def __repr__(self) -> str:
        """The study in one line."""
        return f"Study({self.status.line})"

    def _repr_mimebundle_(self, **_: object) -> Mapping[str, str]:
        view = self.status
        return {"text/plain": repr(self), "text/html": str(view.markup())}


def _why(cell: StudyCell) -> str:
    where = f"cell {cell.failed_cell} of the recipe: " if cell.failed_cell else ""
    from_where = f"from {cell.origin}" if cell.origin else ""
    return where + cell.why.partition("\n")[0] if cell.why else from_where


def _what_changed(before: StudyRecord, recipe: Recipe) -> str:
    """Why finished cells have other keys by now, in words."""
    if cells := recipe.changes(before.code):
        return f"{' and '.join(cells)} of {recipe.path.name}"
    was = before.asked_for.get(FLNB)
    if was != flnb.__version__:
        return f"flnb (was {was}, is {flnb.__version__})"
    return "the data that the recipe names"


def _differences(planned: Sequence[StudyCell], known: Sequence[StudyCell]) -> list[str]:
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
