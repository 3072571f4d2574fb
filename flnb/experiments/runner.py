"""Executes the cells of a study: so many at a time, each in a kernel, until none is left.

One loop over facts: a worker said something or ended, a deadline passed, somebody pressed ^C. Only
this loop writes the study's rows. What its death leaves behind is taken up by the next runner:
workers notice that it is gone and leave `result.json`, runs stand in the lab.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from flnb.core.clock import SYSTEM_CLOCK, Clock
from flnb.core.errors import StudyHeldError
from flnb.core.view import Status
from flnb.experiments.artefacts import Artefacts
from flnb.experiments.crew import Worker, ready, thread_caps
from flnb.experiments.desk import Desk
from flnb.experiments.holding import Holding, runner_of
from flnb.experiments.interrupts import Interrupts
from flnb.experiments.jobs import ENDED, PAGE, RECIPE, Job, Result
from flnb.experiments.showing import Display, StudyView
from flnb.store import Outcome, StudyCell

_TICK_S = 1.0
_PATIENCE_S = 45.0
"""A worker that was told to stop has so long: ten seconds for the kernel to save, ten to end."""
_FINISHING = "^C: what runs is finished, nothing new begins; ^C again interrupts it"
_INTERRUPTING = "^C: interrupting what runs; it goes on from its last commits another time"
_ENOUGH = {Status.FINISHED, Status.STOPPED}
"""A run that is at its end; one that rests otherwise makes its cell a failed one."""


@dataclass(slots=True)
class Executing:
    """A cell that a worker executes."""

    cell: StudyCell
    began_s: float
    stopped_for: Outcome | None = None
    """Why its kernel was told to stop, if it was."""
    kill_at_s: float = float("inf")


class Runner:
    """Executes what a desk says is to be executed.

    Args:
        desk: Knows the cells of the study.
        holding: The right to execute it.
        workers: How many are executed at a time.
        timeout_s: Longest time of each; None is as long as it takes.
        display: Shows how it goes.
        clock: Where the time comes from.
    """

    def __init__(
        self,
        desk: Desk,
        holding: Holding,
        *,
        workers: int,
        timeout_s: float | None,
        display: Display,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._desk, self._holding, self._display, self._clock = desk, holding, display, clock
        self._n_workers, self._timeout_s = workers, timeout_s
        self._artefacts = Artefacts(desk.lab.store, desk.name)
        self._workers: dict[Worker, Executing | None] = {}
        self._paged: dict[Worker, StudyCell] = {}
        self._took_s: list[float] = []
        self._pressed = 0
        self._note = ""

    def run(self) -> bool:
        """Execute until nothing is left to do.

        Returns:
            Whether it was let go to its end: False after ^C.

        Raises:
            StudyHeldError: Another process took the study over meanwhile.
        """
        self._take_up()
        ours = True
        try:
            with Interrupts() as interrupts:
                self._loop(interrupts)
        except StudyHeldError:
            ours = False  # the rows are of whoever holds it now
            raise
        finally:
            self._end_workers(ours)
            self._show(final=True)
        return not self._pressed

    def _loop(self, interrupts: Interrupts) -> None:
        while True:
            waits = not self._pressed and self._fill()
            if not self._busy and not waits:
                return
            self._show()
            self._holding.keep()
            for what in ready({**self._workers, interrupts: None}, _TICK_S):
                if what is interrupts:
                    interrupts.clear()
                else:
                    self._hear(what)
            if interrupts.count > self._pressed:
                self._interrupted(interrupts.count)
            self._check_times()

    @property
    def _busy(self) -> list[Executing]:
        return [executing for executing in self._workers.values() if executing is not None]

    # --- beginning ------------------------------------------------------------------------------

    def _take_up(self) -> None:
        """Look what a runner that was killed has left: rows that say running, and results."""
        for cell in self._desk.left_running():
            found = self._artefacts.result(cell.key)
            if found is not None and found.ended != "stopped":
                self._settle(cell, self._outcome(cell, found, None), found)
            else:
                self._desk.put(replace(cell, outcome=Outcome.CUT_OFF, why="its runner was ended"))

    def _fill(self) -> bool:
        """Give every free worker a cell; returns whether others are still to come."""
        while len(self._busy) < self._n_workers:
            cell = self._next()
            if cell is None:
                break
            self._begin(cell)
        return self._desk.waits_for_others

    def _next(self) -> StudyCell | None:
        for cell in self._desk.open_cells():
            claim = self._desk.claim(cell, self._is_executed)
            if claim.mine:
                return claim.cell
            if not claim.elsewhere:
                self._display.say(f"{self._desk.label(cell)}: was finished by {claim.cell.origin}")
        return None

    def _is_executed(self, study: str) -> bool:
        return runner_of(self._desk.lab.store, study) is not None

    def _begin(self, cell: StudyCell) -> None:
        worker = next((one for one, doing in self._workers.items() if doing is None), None)
        if worker is None:
            worker = Worker(self._artefacts.log, thread_caps(self._n_workers, os.environ))
        self._workers[worker] = Executing(cell, self._clock.monotonic_s())
        folder = self._artefacts.fresh(cell.key)
        # As it was when its key was made: somebody may be working on the file.
        (folder / RECIPE).write_text(self._desk.recipe.text, encoding="utf-8")
        worker.execute(
            Job(
                folder=str(folder),
                recipe=str(self._desk.recipe.path.absolute()),
                values=self._desk.injected(cell),
                environment=self._desk.environment(cell, folder),
            )
        )

    # --- facts ----------------------------------------------------------------------------------

    def _hear(self, worker: Worker) -> None:
        said = worker.hear()
        if said is None:
            self._lost(worker)
        else:
            self._told(worker, said)

    def _told(self, worker: Worker, said: list[dict[str, Any]]) -> None:
        for message in said:
            if ENDED in message:
                self._ended(worker, Result.of(message[ENDED]))
            elif PAGE in message:
                self._page(worker, message[PAGE])

    def _ended(self, worker: Worker, result: Result) -> None:
        executing = self._workers[worker]
        assert executing is not None, "a worker answers what it was asked"
        self._workers[worker] = None
        outcome, why = self._outcome(executing.cell, result, executing.stopped_for)
        self._paged[worker] = self._settle(executing.cell, (outcome, why), result)
        if outcome is Outcome.FINISHED:
            self._took_s.append(result.seconds_s)

    def _outcome(
        self, cell: StudyCell, result: Result, stopped_for: Outcome | None
    ) -> tuple[Outcome, str]:
        """What became of a cell, by its notebook and by its run."""
        if result.ended == "stopped":
            outcome = stopped_for or Outcome.CUT_OFF
            late = outcome is Outcome.OUT_OF_TIME and self._timeout_s is not None
            return outcome, f"not ended after {self._timeout_s:g} s" if late else "interrupted"
        if result.ended == "failed":
            return Outcome.FAILED, result.why
        run = self._desk.run_of(cell)
        if run is not None and run.status not in _ENOUGH:
            why = (run.error or "").partition("\n")[0]
            return Outcome.FAILED, f"run {run.name} is {run.status}" + (f": {why}" if why else "")
        return Outcome.FINISHED, ""

    def _settle(self, cell: StudyCell, outcome: tuple[Outcome, str], result: Result) -> StudyCell:
        run = self._desk.run_of(cell)
        settled = replace(
            cell,
            outcome=outcome[0],
            why=outcome[1],
            failed_cell=result.failed_cell,
            run=run.name if run is not None else "",
            ended_at=self._clock.now(),
            seconds_s=cell.seconds_s + result.seconds_s,
            notebook=self._artefacts.publish(result.notebook),
            log=self._artefacts.publish(str(Path(result.notebook).with_name("log.txt"))),
        )
        self._desk.put(settled)
        self._display.say(self._desk.sentence(settled))
        return settled

    def _page(self, worker: Worker, page: str) -> None:
        cell = self._paged.pop(worker, None)
        if cell is not None and page:
            self._desk.put(replace(cell, page=self._artefacts.publish(page)))

    def _lost(self, worker: Worker) -> None:
        """A worker has ended that should not have; its kernel notices that and ends."""
        executing = self._workers.pop(worker)
        code = worker.wait(1.0)
        self._paged.pop(worker, None)
        if executing is None:
            return
        outcome = executing.stopped_for or Outcome.CUT_OFF
        cell = replace(
            executing.cell,
            outcome=outcome,
            why=f"its worker ended with {code}",
            ended_at=self._clock.now(),
            seconds_s=executing.cell.seconds_s + self._clock.monotonic_s() - executing.began_s,
        )
        self._desk.put(cell)
        self._display.say(self._desk.sentence(cell))

    def _check_times(self) -> None:
        now_s = self._clock.monotonic_s()
        for worker, executing in self._workers.items():
            if executing is None:
                continue
            late = self._timeout_s is not None and now_s > executing.began_s + self._timeout_s
            if late and executing.stopped_for is None:
                self._stop(worker, executing, Outcome.OUT_OF_TIME)
            if now_s > executing.kill_at_s:
                worker.kill()

    def _interrupted(self, count: int) -> None:
        """The first ^C lets what runs finish, the second interrupts the kernels."""
        self._pressed = count
        self._note = _FINISHING if count == 1 else _INTERRUPTING
        self._display.say(self._note)
        for worker, executing in self._workers.items():
            if count > 1 and executing is not None and executing.stopped_for is None:
                self._stop(worker, executing, Outcome.CUT_OFF)

    def _stop(self, worker: Worker, executing: Executing, why: Outcome) -> None:
        executing.stopped_for = why
        executing.kill_at_s = self._clock.monotonic_s() + _PATIENCE_S
        worker.stop()

    # --- the end --------------------------------------------------------------------------------

    def _end_workers(self, ours: bool) -> None:
        """Let workers write the last pages; after an error in this process, kernels are stopped."""
        for worker in self._workers:
            worker.dismiss()  # whose kernel still executes, that stops it
        for worker in tuple(self._workers):
            while (said := worker.hear()) is not None:
                if ours:
                    self._told(worker, said)
            worker.wait(_PATIENCE_S)
            if ours and (executing := self._workers[worker]) is not None:
                self._desk.put(
                    replace(executing.cell, outcome=Outcome.CUT_OFF, why="its runner failed")
                )
        self._workers.clear()

    def _show(self, *, final: bool = False) -> None:
        now_s = self._clock.monotonic_s()
        running = tuple(
            f"{self._desk.label(one.cell)}, {now_s - one.began_s:.0f} s" for one in self._busy
        )
        view = StudyView.of(
            self._desk.name,
            self._desk.cells,
            running=running,
            left_s=None if final else self._left_s(now_s),
            note=self._note,
        )
        self._display.show(view, final=final)

    def _left_s(self, now_s: float) -> float | None:
        if not self._took_s:
            return None
        mean_s = sum(self._took_s) / len(self._took_s)
        rest_s = mean_s * len(self._desk.open_cells())
        rest_s += sum(max(0.0, mean_s - (now_s - one.began_s)) for one in self._busy)
        return rest_s / self._n_workers
