"""The cells of a study while a runner executes them: which are open, and what is told of each."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flnb.coordinator.cell import Cell
from flnb.core import glance
from flnb.core.errors import PlanError, did_you_mean
from flnb.experiments import jobs, rows
from flnb.experiments.grid import Optuna, combinations
from flnb.experiments.planning import LAB, Planner
from flnb.store import Claim, Outcome, RunRecord, StudyCell, labelled, varying

if TYPE_CHECKING:
    from flnb.coordinator import Lab

_AGAIN = {Outcome.FAILED, Outcome.OUT_OF_TIME}


class Desk:
    """Knows the cells of one study; made by the process that holds it.

    Args:
        lab: Where it belongs.
        planner: Says which cells it asks for.
        retry: Whether failed ones and those that ran out of time are executed again.
    """

    def __init__(self, lab: Lab, planner: Planner, *, retry: bool) -> None:
        self.lab, self._planner = lab, planner
        self.name, self.recipe = planner.study, planner.recipe
        self._known = lab.store.state.study_cells(self.name)
        self._cells: dict[str, StudyCell] = {}
        self._done_here: set[str] = set()
        self._elsewhere: set[str] = set()
        self._outdated = False
        self.plan()
        again = _AGAIN if retry else set()
        self._again = {key for key, cell in self._cells.items() if cell.outcome in again}

    def plan(self) -> None:
        """Ask for the cells that follow from what is known by now."""
        known = {cell.key: cell for cell in self._known} | self._cells
        search, measured = self._planner.asked.search, dict[str, float]()
        if isinstance(search, Optuna):
            measured = self._measured(list(known.values()), search.metric)
        planned = self._planner.cells(list(known.values()), measured)
        self.lab.store.state.ask_for_cells(self.name, planned)
        self._cells = {cell.key: cell for cell in planned}
        self._varying = varying(planned)
        self._outdated = False

    def _measured(self, cells: Sequence[StudyCell], metric: str) -> dict[str, float]:
        """What the search looks at, of each finished cell that has it.

        Raises:
            PlanError: Cells are finished, and none has it: the search would learn nothing.
        """
        finished = [cell for cell in cells if cell.outcome is Outcome.FINISHED]
        found = rows.measures(self.lab, sorted({cell.run for cell in finished if cell.run}))
        values = {cell.key: found.get(cell.run, {}).get(metric) for cell in finished}
        if finished and all(value is None for value in values.values()):
            raise _no_metric(metric, {name for measured in found.values() for name in measured})
        return {key: value for key, value in values.items() if value is not None}

    @property
    def exhausted(self) -> str:
        """Why a search ends before it asked for as many as it was to; empty where it does not."""
        search = self._planner.asked.search
        count = combinations(search.axes) if isinstance(search, Optuna) else None
        if count is None or not isinstance(search, Optuna) or count >= search.n:
            return ""
        return f"all {count} combinations of its axes were asked for, fewer than n = {search.n}"

    # --- what is to be done ---------------------------------------------------------------------

    @property
    def cells(self) -> Sequence[StudyCell]:
        """Those that are asked for by now, in order."""
        return tuple(self._cells.values())

    def open_cells(self) -> list[StudyCell]:
        """Those that may be begun now, in order; a search may have thought of more of them."""
        if self._outdated:
            self.plan()
        return [cell for cell in self._cells.values() if self._is_open(cell)]

    def _is_open(self, cell: StudyCell) -> bool:
        if cell.key in self._done_here:
            return False
        if cell.outcome in _AGAIN:
            return cell.key in self._again
        return cell.outcome in {Outcome.WAITING, Outcome.CUT_OFF}

    def left_running(self) -> list[StudyCell]:
        """Those that a runner executed which is not there any more."""
        return [cell for cell in self._cells.values() if cell.outcome is Outcome.RUNNING]

    def guests_of(self, cells: Sequence[StudyCell]) -> list[str]:
        """Kernels of cells that are at work in the lab, as the guests that they are there."""
        there = self.lab.store.state.guests() if cells else {}
        return [name for cell in cells if (name := Cell(cell.study, cell.key).name) in there]

    def claim(self, cell: StudyCell, is_executed: Callable[[str], bool]) -> Claim:
        """Begin a cell, unless another study finished it or executes it at this moment.

        Args:
            cell: Which.
            is_executed: Says whether a study has a runner.
        """
        claim = self.lab.store.state.claim_cell(self.name, cell.key, is_executed)
        self._cells[cell.key] = claim.cell
        self._elsewhere.discard(cell.key)
        if claim.elsewhere:
            self._elsewhere.add(cell.key)
        elif not claim.mine:
            self._over(claim.cell)
        return claim

    @property
    def waits_for_others(self) -> bool:
        """Whether another study executes a cell that this one wants as well."""
        return bool(self._elsewhere)

    def put(self, cell: StudyCell) -> None:
        """Write what became of a cell; it is not begun again by this runner."""
        self.lab.store.state.put_cell(cell)
        self._cells[cell.key] = cell
        if cell.ended_at is not None:
            self._over(cell)

    def _over(self, cell: StudyCell) -> None:
        self._done_here.add(cell.key)
        self._outdated = isinstance(self._planner.asked.search, Optuna)

    # --- what a worker is told ------------------------------------------------------------------

    def injected(self, cell: StudyCell) -> dict[str, Any]:
        """What stands below the recipe's defaults in the notebook that comes out."""
        declares = LAB in self.recipe.parameters.defaults
        return dict(cell.parameters) | ({LAB: self.lab.address} if declares else {})

    def environment(self, cell: StudyCell, folder: Path) -> dict[str, str]:
        """By what a kernel knows that it executes a cell of a study."""
        known = {
            jobs.STUDY_CELL: f"{self.name}/{cell.key}",
            jobs.STUDY_LAB: self.lab.address,
            jobs.STUDY_RECIPE: str(folder / jobs.RECIPE),
        }
        if self.lab.store.state_address is not None:
            known[jobs.STUDY_STATE] = self.lab.store.state_address
        return known

    # --- what is told of them -------------------------------------------------------------------

    def run_of(self, cell: StudyCell) -> RunRecord | None:
        """The run that a cell began, if it began one."""
        return run_of(self.lab, cell)

    def label(self, cell: StudyCell) -> str:
        """What tells a cell from the others, such as `alpha=0.3 seed=1`."""
        return labelled(cell, self._varying)

    def sentence(self, cell: StudyCell) -> str:
        """What became of a cell, such as `alpha=0.3 seed=1: finished in 4.2 s`."""
        told = f"{self.label(cell)}: {cell.outcome}"
        if cell.outcome is Outcome.FINISHED:
            return f"{told} in {glance.seconds(cell.seconds_s)}"
        where = f" in cell {cell.failed_cell} of the recipe" if cell.failed_cell else ""
        why = cell.why.partition("\n")[0]
        return f"{told}{where}" + (f": {why}" if why else "")


def _no_metric(metric: str, there: Collection[str]) -> PlanError:
    listed = f"there is: {', '.join(sorted(there))}" if there else "they were not measured at all"
    near = did_you_mean(metric, there)
    return PlanError(
        f"the search looks at {metric!r}, which no finished cell has",
        hint=f"{near} {listed}" if near.startswith("did") else listed,
    )


def run_of(lab: Lab, cell: StudyCell) -> RunRecord | None:
    """The run that a cell began, its first one, if it began any."""
    whose = cell.study, cell.key  # another study may have executed this key, too
    mine = [run for run in lab.store.state.runs() if (run.study, run.study_key) == whose]
    return min(mine, key=lambda run: run.created_at, default=None)
