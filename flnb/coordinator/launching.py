"""The part of a coordinator that begins runs, and goes on with those that rest or were interrupted."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from flnb.coordinator.drive import Drive
from flnb.coordinator.history.starting import begin_from, commit_start
from flnb.coordinator.hosting import Hosting
from flnb.coordinator.job import Job, Outset
from flnb.coordinator.jobs import first_version, new_record, resumed_job
from flnb.coordinator.local import LocalRun
from flnb.coordinator.picture import Picture
from flnb.coordinator.run import Run
from flnb.coordinator.steering import Steering
from flnb.core.check import unknown_names
from flnb.core.errors import FLBaseError, PlanError, RoundStateError
from flnb.core.failpoints import reach
from flnb.core.plan import Plan
from flnb.core.view import Status
from flnb.rounds import ResumeAsked
from flnb.tensors import Shelf

if TYPE_CHECKING:
    from flnb.coordinator.history.starting import Start
    from flnb.tasks import Task

log = logging.getLogger(__name__)


class Launching(Hosting, Steering):
    """Runs that a coordinator drives; `Coordinator` inherits it."""

    def run(
        self, plan: Plan, task: Task, *, name: str | None = None, start: Start | None = None
    ) -> Run:
        """Start a run and return at once.

        Args:
            plan: How the rounds go.
            task: What is learned; its clients must have been simulated here.
            name: What to call it, unique in the lab; made up when absent. In the cell of a study it
                is called after the cell: `STUDY-KEY`, with this name behind if one is given. Then a
                run that the cell has begun before goes on, and one that is over is handed back.
            start: A model to go on from: a file (`m.safetensors`, or what `torch.save` wrote of a
                state dict), `"quiet-otter@best"`, a checkpoint, or a state dict. None is the first
                version that the plan's seed names.

        Raises:
            PlanError: The plan cannot work with these clients, or the name is taken; or the cell has
                begun that run with another plan or from another model, and what differs.
            TaskError: `start` does not fit the task's model; says which tensors.
            DataError: The file of `start` cannot be read, or holds more than tensors.
            NotFoundError: There is no such file, run or checkpoint.
        """
        self._thread()
        if (before := self._begun_before(name, plan, task, start)) is not None:
            return before
        population = self._population(task)
        check = plan.check(task)
        invited = plan.invite or 0
        here = population.eligible(plan)
        if self._desk is None and (not check.ok or invited > len(here)):
            raise PlanError(f"the plan cannot work with {len(here)} clients:\n{check!r}")
        summary = task.summary()
        if errors := (*summary.errors, *unknown_names(plan, summary)):
            raise PlanError("\n".join(errors))
        begin = begin_from(self.lab, start, task.layout) if start is not None else None
        with self.gate:
            store = self.lab.store
            called = self._named(name)
            record = self._in_cell(new_record(store, plan, task, population.simulation, called))
            if begin is None:
                version = first_version(plan, task)
            else:
                record, version = commit_start(store, record, plan, begin)
            store.state.create_run(record)
            self._count(name)
            reach("run-created")
            self.note(record.id, "start", f"from {begin.source}" if begin else "")
            outset = Outset(version, Shelf(store.path))
            job = Job(record, plan, plan.strategy.compose(), population, outset, {})
            return self._drive(job, self.lab.picture(record))

    def resume(
        self,
        run: Run | str,
        task: Task | None = None,
        workers: int | None = None,
        changes: Mapping[str, Any] | None = None,
    ) -> Run:
        """Go on with a run; see `Lab.resume`."""
        run = self.lab.run(run) if isinstance(run, str) else run
        with self.gate:
            drive, changes = self._drives.get(run.id), changes or {}
            if drive is not None and not drive.over:
                if not changes and self._takes(drive, ResumeAsked()):
                    self.note(run.id, "resume")
                    # What the caller holds may be from before the run was driven here.
                    record = self.lab.store.state.run(run.id)
                    return Run(LocalRun(self.lab, record, drive.picture))
                if changes and not run.status.over:
                    raise RoundStateError(
                        f"run {run.name!r} is {run.status}: its plan changes only while it rests",
                        hint="run.pause() and run.wait() first",
                    )
                self._wait_out(drive)  # it is coming to its rest, and goes on from there
            before = self.lab.store.claim_run(run.id)
            try:
                record = self.lab.store.state.run(run.id)
                populate = partial(self._populate, any_workers=workers is None)
                known = [population.task for population in self._populations]
                job = resumed_job(self.lab.store, record, task, known, workers, changes, populate)
            except BaseException:
                self.lab.store.state.give_back(run.id, before)
                raise
            said = "".join(f"; {name}={value}" for name, value in changes.items())
            self.note(record.id, "resume", f"was {record.status}{said}")
            picture = self.picture(record.id)
            if picture is None or (changes and picture.view.round > job.start.round):
                picture = self.lab.picture(record)  # what it showed was forgotten
            return self._drive(job, picture)

    def carry_on(self) -> list[str]:
        """Resume every run whose process died; those that cannot are said in the log.

        Runs of a study go on when their cell is executed again, and are left to it.

        Returns:
            Their names.
        """
        going_on = []
        for record in self.lab.store.state.runs():
            if record.status is Status.INTERRUPTED and record.study is None:
                try:
                    going_on.append(self.resume(self.lab.run(record.name)).name)
                except FLBaseError:
                    log.exception("run %s cannot be carried on", record.name)
        return going_on

    def _drive(self, job: Job, picture: Picture) -> Run:
        assert self._io is not None, "the coordinator runs"
        lab, run = self.lab, job.record.id
        drive = Drive(
            job, lab.store, self._io, picture, lambda: lab.picture(lab.store.state.run(run))
        )
        self._drives[job.record.id] = drive
        picture.on_start(job.plan.rounds)
        self._thread().submit(drive.go())
        return Run(LocalRun(self.lab, job.record, picture))
