"""Executes the cells of a study: so many at a time, each in a kernel, until none is left.

One loop over facts: a worker said something or ended, a deadline passed, somebody pressed ^C. Only
this loop writes the study's rows. What its death leaves behind is taken up by the next runner:
workers notice that it is gone and leave `result.json`, runs stand in the lab.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from flnb.core.clock import SYSTEM_CLOCK, Clock
from flnb.core.errors import StudyHeldError
from flnb.experiments.artefacts import Artefacts
from flnb.experiments.crew import Worker, ready, thread_caps
from flnb.experiments.desk import Desk
from flnb.experiments.holding import Holding, runner_of
from flnb.experiments.interrupts import Interrupts
from flnb.experiments.jobs import ENDED, PAGE, RECIPE, Job, Result
from flnb.experiments.labels import failure
from flnb.experiments.settling import Settling
from flnb.experiments.showing import Display, StudyView
from flnb.store import Outcome, StudyCell

_TICK_S = 1.0
_PATIENCE_S = 45.0
"""A worker that was told to stop has so long: ten seconds for the kernel to save, ten to end."""
_FINISHING = "^C: what runs is finished, nothing new begins; ^C again interrupts it"
_INTERRUPTING = "^C: interrupting what runs; it goes on from its last commits another time"


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
        self._settling = Settling(
            desk, self._artefacts, say=display.say, timeout_s=timeout_s, clock=clock
        )
        self._workers: dict[Worker, Executing | None] = {}
        self._paged: dict[Worker, StudyCell] = {}
        self._took_s: list[float] = []
        self._pressed = 0
        self._note = ""

    def run(self, interrupts: Interrupts | None = None) -> bool:
        """Execute until nothing is left to do.

        Args:
            interrupts: Where ^C is told; by default of its own.

        Returns:
            Whether it was let go to its end: False after ^C.

        Raises:
            StudyHeldError: Another process took the study over meanwhile.
        """
        error: BaseException | None = None
        try:
            self._settling.take_up()
            with interrupts or Interrupts() as pressed:
                self._loop(pressed)
        except BaseException as caught:
            error, self._note = caught, f"ended: {failure(caught)}"
            raise
        finally:
            self._end_workers(error)
            self._show(final=True)
        return not self._pressed

    def _loop(self, interrupts: Interrupts) -> None:
        while True:
            if interrupts.count > self._pressed:  # also one that came before there was a loop
                self._interrupted(interrupts.count)
            waits = not self._pressed and self._fill()
            if not self._busy and not waits:
                return self._say_why_it_ends()
            self._show()
            told = list(ready({**self._workers, interrupts: None}, _TICK_S))
            self._holding.keep()  # after the wait: who stood still in it may have lost the study
            for what in told:
                if what is interrupts:
                    interrupts.clear()
                else:
                    self._hear(what)
            self._check_times()

    def _say_why_it_ends(self) -> None:
        if not self._pressed and (why := self._desk.exhausted):
            self._display.say(why)

    @property
    def _busy(self) -> list[Executing]:
        return [executing for executing in self._workers.values() if executing is not None]

    # --- beginning ------------------------------------------------------------------------------

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
                kernel=self._desk.recipe.kernel,
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
        settled = self._settling.ended(executing.cell, result, executing.stopped_for)
        self._paged[worker] = settled
        if settled.outcome is Outcome.FINISHED:
            self._took_s.append(result.seconds_s)

    def _page(self, worker: Worker, page: str) -> None:
        cell = self._paged.pop(worker, None)
        if cell is not None and page:
            self._settling.page(cell, page)

    def _lost(self, worker: Worker) -> None:
        """A worker has ended that should not have; its kernel notices that and ends."""
        executing = self._workers.pop(worker)
        code = worker.wait(1.0)
        self._paged.pop(worker, None)
        if executing is None:
            return
        outcome = executing.stopped_for or Outcome.CUT_OFF
        took_s = self._clock.monotonic_s() - executing.began_s
        self._settling.lost(executing.cell, outcome, f"its worker ended with {code}", took_s)

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

    def _end_workers(self, error: BaseException | None) -> None:
        """Let workers write the last pages; after an error in this process, kernels are stopped."""
        ours = not isinstance(error, StudyHeldError)  # else rows are of whoever holds it now
        if error is not None:
            self._settling.why_stopped = f"its runner failed: {failure(error)}"
        for worker in self._workers:
            worker.dismiss()  # whose kernel still executes, that stops it
        for worker in tuple(self._workers):
            while (said := worker.hear()) is not None:
                if ours:
                    self._told(worker, said)
            worker.wait(_PATIENCE_S)
            if ours and (executing := self._workers[worker]) is not None:
                self._settling.cut_off(executing.cell, self._settling.why_stopped)
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
