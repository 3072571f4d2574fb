"""A study as people hold it: cells, what became of them, and how they are executed."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Self

import flnb
from flnb.core.errors import PlanError, RoundStateError
from flnb.experiments import changing, labels, planning, rows, showing
from flnb.experiments.background import Background
from flnb.experiments.desk import Desk
from flnb.experiments.grid import Optuna
from flnb.experiments.holding import Holding, runner_of
from flnb.experiments.key import DataFingerprints
from flnb.experiments.recipe import Recipe
from flnb.experiments.runner import Runner
from flnb.experiments.showing import StudyView
from flnb.experiments.study_file import StudyFile
from flnb.store import StudyCell, StudyRecord

if TYPE_CHECKING:
    import pandas as pd

    from flnb.coordinator import Lab

KEEP, BESIDE = "keep", "beside"
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
        self._background: Background | None = None
        self.interrupted = False
        """Whether the last time that it was executed ended by ^C or `stop`."""

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
        """How many cells are finished, failed, running, waiting; who executes it, or why that ended."""
        return StudyView.of(self.name, self.cells, note=self._note())

    def _note(self) -> str:
        if (holder := runner_of(self.lab.store, self.name)) is not None:
            return f"executed by {holder}"
        failure = self._background.failure if self._background is not None else ""
        return f"ended: {failure}" if failure else ""

    def df(self) -> pd.DataFrame:
        """One row a cell: parameters, seed, outcome, run, and what the run was measured by.

        See `flnb.experiments.rows.frame` for the columns. Those of metrics are the values of the last
        round, and the best ones as `best_…`.
        """
        return rows.frame(self.lab, self.cells)

    def lines(self) -> list[tuple[str, str, str, float, str]]:
        """Each cell for a person: what tells it from the others, outcome, run, seconds, why."""
        return labels.lines(self.cells)

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
        runner, holding = self._ready(workers, timeout_s, retry=retry, changed=changed)
        self._background = None  # of before: what became of that is no news any more
        with holding:
            self.interrupted = not runner.run()
        return self

    def start(
        self,
        workers: int | None = None,
        timeout_s: float | None = None,
        *,
        retry: bool = False,
        changed: str = "",
    ) -> Self:
        """Execute what is not finished, and return at once: cells of the notebook go on meanwhile.

        `wait` waits for its end, `stop` ends it. For arguments and errors see `run`; what goes wrong
        later is said in one line, stands in `status`, and is raised by `wait`.
        """
        runner, holding = self._ready(workers, timeout_s, retry=retry, changed=changed)
        self._background = Background(self.name, holding, runner.run)
        return self

    def wait(self, timeout_s: float | None = None) -> Self:
        """Wait for the end of what `start` began.

        Args:
            timeout_s: Give up waiting (not the study) after so long.

        Raises:
            RoundStateError: It was not started.
            FLBaseError: Why it could not be executed further.
            TimeoutError: It still goes on after `timeout_s`.
        """
        self.interrupted = not self._started.wait(timeout_s)
        return self

    def stop(self, *, now: bool = False) -> Self:
        """End what `start` began, as ^C does; `wait` waits for that.

        Args:
            now: Whether kernels are interrupted, and not let finish; their runs go on another time.

        Raises:
            RoundStateError: It was not started.
        """
        for _ in range(2 if now else 1):
            self._started.press()
        return self

    @property
    def _started(self) -> Background:
        if self._background is None:
            raise RoundStateError(f"study {self.name!r} was not started here", hint="study.start()")
        return self._background

    def _ready(
        self, workers: int | None, timeout_s: float | None, *, retry: bool, changed: str
    ) -> tuple[Runner, Holding]:
        """Check everything, and hold the study; whoever gets that lets it go."""
        given = {"workers": workers, "timeout_s": timeout_s}
        asked = self.asked.replace(
            **{name: value for name, value in given.items() if value is not None}
        )
        if changed not in {"", KEEP, BESIDE}:
            raise PlanError(f"changed={changed!r}", hint=f"{KEEP!r} or {BESIDE!r}")
        planner = self.check()
        self._introduce(planner.recipe)
        with contextlib.ExitStack() as held:
            holding = held.enter_context(Holding(self.lab.store, self.name))
            display, notes = showing.here(), self._ask(planner, changed)
            for note in notes:
                display.say(note)
            desk = Desk(self.lab, planner, retry=retry)
            runner = Runner(
                desk, holding, workers=asked.workers, timeout_s=asked.timeout_s, display=display
            )
            held.pop_all()
        return runner, holding

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
            asked_for=asked | {changing.FLNB: flnb.__version__},
            code=recipe.digests,
            created_at=now,
            updated_at=now,
        )

    def _ask(self, planner: planning.Planner, changed: str) -> list[str]:
        """Write what is asked for from now on; returns what is other than before, in words."""
        state = self.lab.store.state
        before, known = state.study(self.name), state.study_cells(self.name)
        planned = planner.cells(known, {})
        defaults = planner.recipe.parameters.defaults
        stale = planning.stale(planned, known, defaults)
        if stale and not changed:
            raise changing.undecided(before, planner.recipe, len(stale))
        if not stale and changed == KEEP:
            changing.check_size(planned, known, defaults)
        state.put_study(self._record(planner.recipe))
        notes = changing.differences(planned, known)
        if isinstance(self.asked.search, Optuna):
            notes.append(self.asked.search.course)
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
        """The study in one line, with why it ended where it failed in the background."""
        view = self.status
        return f"Study({view.line}{f'   {view.note}' if view.note else ''})"

    def _repr_mimebundle_(self, **_: object) -> Mapping[str, str]:
        view = self.status
        return {"text/plain": repr(self), "text/html": str(view.markup())}
