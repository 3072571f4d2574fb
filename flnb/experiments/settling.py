"""What becomes of the cells that a runner executes, written into their rows."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from flnb.core.clock import Clock
from flnb.core.view import Status
from flnb.experiments.artefacts import Artefacts
from flnb.experiments.desk import Desk
from flnb.experiments.jobs import Result
from flnb.store import Outcome, StudyCell

_ENOUGH = {Status.FINISHED, Status.STOPPED}
"""A run that is at its end; one that rests otherwise makes its cell a failed one."""
_LEAVING_S = 20.0
"""Kernels of a killed runner have so long to go: ten seconds to save, then they are killed; of a machine that
is gone, until the lease of its guests has run out."""
_LOOK_S = 0.1


class Settling:
    """Settles cells: by their notebooks, by their runs, by what a killed runner left behind.

    Args:
        desk: Knows the cells.
        artefacts: Their files.
        say: Shows a line that stays.
        timeout_s: Longest time of a cell, for its reason.
        clock: Where the time comes from.
    """

    def __init__(
        self,
        desk: Desk,
        artefacts: Artefacts,
        *,
        say: Callable[[str], None],
        timeout_s: float | None,
        clock: Clock,
    ) -> None:
        self._desk, self._artefacts = desk, artefacts
        self._say, self._timeout_s, self._clock = say, timeout_s, clock
        self.why_stopped = "interrupted"
        """What is said of cells that are cut off before they end."""

    def take_up(self) -> None:
        """Settle what a runner that was killed has left: rows that say running, and results."""
        left = self._desk.left_running()
        self._see_them_leave(left)
        for cell in left:
            found = self._artefacts.result(cell.key)
            if found is not None and found.ended != "stopped":
                self.ended(cell, found)
            else:
                self.cut_off(cell, "its runner was ended")

    def _see_them_leave(self, left: Sequence[StudyCell]) -> None:
        """Wait until kernels of before have left the lab: of two guests of one name the second fails."""
        ends_s, told = self._clock.monotonic_s() + _LEAVING_S, False
        while (there := self._desk.guests_of(left)) and self._clock.monotonic_s() < ends_s:
            if not told:
                self._say(f"waiting for kernels of the runner before: {', '.join(there)}")
            told = True
            time.sleep(_LOOK_S)

    def ended(
        self, cell: StudyCell, result: Result, stopped_for: Outcome | None = None
    ) -> StudyCell:
        """Settle a cell whose notebook was executed; returns its row.

        Args:
            cell: Which.
            result: How it ended.
            stopped_for: Why its kernel was told to stop, if it was.
        """
        outcome, why = self._outcome(cell, result, stopped_for)
        settled = replace(
            self._with_its_run(cell),
            outcome=outcome,
            why=why,
            failed_cell=result.failed_cell,
            ended_at=self._clock.now(),
            seconds_s=cell.seconds_s + result.seconds_s,
            notebook=self._artefacts.publish(result.notebook),
            log=self._artefacts.publish(str(Path(result.notebook).with_name("log.txt"))),
        )
        self._put(settled)
        return settled

    def _outcome(
        self, cell: StudyCell, result: Result, stopped_for: Outcome | None
    ) -> tuple[Outcome, str]:
        """What became of a cell, by its notebook and by its run."""
        if result.ended == "stopped":
            outcome = stopped_for or Outcome.CUT_OFF
            late = outcome is Outcome.OUT_OF_TIME and self._timeout_s is not None
            return outcome, f"not ended after {self._timeout_s:g} s" if late else self.why_stopped
        if result.ended == "failed":
            return Outcome.FAILED, result.why
        run = self._desk.run_of(cell)
        if run is not None and run.status not in _ENOUGH:
            why = (run.error or "").partition("\n")[0]
            return Outcome.FAILED, f"run {run.name} is {run.status}" + (f": {why}" if why else "")
        return Outcome.FINISHED, ""

    def lost(self, cell: StudyCell, outcome: Outcome, why: str, took_s: float) -> None:
        """Settle a cell whose worker ended without a word.

        Args:
            cell: Which.
            outcome: What that makes of it.
            why: In words.
            took_s: Seconds since it was begun.
        """
        settled = replace(
            self._with_its_run(cell),
            outcome=outcome,
            why=why,
            ended_at=self._clock.now(),
            seconds_s=cell.seconds_s + took_s,
        )
        self._put(settled)

    def cut_off(self, cell: StudyCell, why: str) -> None:
        """Let a cell go on another time."""
        self._desk.put(replace(self._with_its_run(cell), outcome=Outcome.CUT_OFF, why=why))

    def page(self, cell: StudyCell, page: str) -> None:
        """Write where the page of an executed notebook lies."""
        self._desk.put(replace(cell, page=self._artefacts.publish(page)))

    def _with_its_run(self, cell: StudyCell) -> StudyCell:
        """A cell that names the run that it began, whatever became of it since."""
        run = self._desk.run_of(cell)
        return replace(cell, run=run.name if run is not None else "")

    def _put(self, settled: StudyCell) -> None:
        self._desk.put(settled)
        self._say(self._desk.sentence(settled))
