"""The coordinator: one thread, one loop, one lab, any number of runs."""

from __future__ import annotations

import asyncio
import getpass
import logging
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flnb.coordinator.commands import obey
from flnb.coordinator.drive import Drive
from flnb.coordinator.hosting import Hosting
from flnb.coordinator.jobs import end_resting, first_version, new_record, resumed_job
from flnb.coordinator.lab import Lab
from flnb.coordinator.local import LocalRun
from flnb.coordinator.loop import LoopThread
from flnb.coordinator.picture import Picture
from flnb.coordinator.run import Run
from flnb.coordinator.runner import Job
from flnb.core import cards
from flnb.core.clock import SYSTEM_CLOCK
from flnb.core.errors import FLBaseError, PlanError, RoundStateError
from flnb.core.failpoints import reach
from flnb.core.ids import RunId
from flnb.core.plan import Plan
from flnb.core.view import Status
from flnb.processes import ForkServer
from flnb.rounds import Fact, ResumeAsked, StopAsked
from flnb.store import Operation

if TYPE_CHECKING:
    from flnb.store import Lease
    from flnb.tasks import Task

log = logging.getLogger(__name__)


class Coordinator(Hosting):
    """Runs federated learning in the background of this process.

    Args:
        lab: Where everything goes; held by this coordinator alone while it runs.

    Examples:
        coord = flnb.Coordinator(lab).start()
        coord.simulate(task)
        run = coord.run(plan, task)
    """

    def __init__(self, lab: Lab | str | Path) -> None:
        super().__init__()
        self.lab = lab if isinstance(lab, Lab) else Lab.open(lab)
        self._loop: LoopThread | None = None
        self._io: ThreadPoolExecutor | None = None
        self._warm_up: ThreadPoolExecutor | None = None
        self._lease: Lease | None = None
        self._obeying: Future[None] | None = None
        self._started_at: datetime | None = None
        self._note = ""

    # --- life -----------------------------------------------------------------------------------

    def start(self) -> Coordinator:
        """Take the lab and start the thread.

        Returns:
            This coordinator, or the one of this process that holds the lab already: a cell that
            is run again gets the same one.

        Raises:
            LabHeldError: Another process holds the lab.
            StorageFullError: The disk is full.
        """
        with _STARTING:
            if (running := coordinator_of(self.lab.path)) is None:
                self._take()
                return self
        running._note = f"already running since {running._started_at:%H:%M:%S}"
        return running

    def _take(self) -> None:
        lease = self.lab.store.lease()
        try:
            self.lab.store.state.interrupted()
            self.lab.store.state.drop_commands("the coordinator that was asked has ended")
        except BaseException:
            lease.release()
            raise
        reach("lab-taken")
        self._lease = lease
        ForkServer.shared()  # imports torch while the user reads on; workers are forked from it
        self._io = ThreadPoolExecutor(1, thread_name_prefix="flnb-io")
        self._loop = LoopThread("flnb-coordinator")
        self._loop.start()
        self._started_at = SYSTEM_CLOCK.now().astimezone()
        _RUNNING[self.lab.path] = self
        self._io.submit(self.lab.store.catch_up)
        self._warm_up = ThreadPoolExecutor(1, thread_name_prefix="flnb-warm-up")
        self._warm_up.submit(self.lab.store.writer.start)  # it imports for a second or two
        self._warm_up.shutdown(wait=False)
        self._obeying = self._loop.submit(obey(self, self._in_io))

    def stop(self) -> None:
        """Give open rounds up, save, and let the lab go. Runs can be resumed.

        Raises:
            RoundStateError: Called from a callback of this coordinator.
        """
        if self._loop is None or self._io is None:
            return
        if self._loop.here:
            raise RoundStateError("a callback of the coordinator must not stop the coordinator")
        _RUNNING.pop(self.lab.path, None)
        for drive in self._drives.values():
            self._loop.loop.call_soon_threadsafe(drive.rest)
        for drive in self._drives.values():
            drive.done.exception()  # waits; errors are on the run
        with ExitStack() as last:  # each of these happens, whatever the others do
            if self._lease is not None:
                last.callback(self._lease.release)
            last.callback(self.lab.store.close)
            if self._warm_up is not None:
                last.callback(self._warm_up.shutdown, wait=True)
            last.callback(self._io.shutdown, wait=True)
            for population in self._populations:
                last.callback(population.close)
            last.callback(self._loop.stop)
            self._populations = []
            self._close_desk()
            self._loop = self._io = self._lease = None

    def __enter__(self) -> Coordinator:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def running(self) -> bool:
        """Whether the thread runs and the lab is held."""
        return self._loop is not None

    def _thread(self) -> LoopThread:
        if self._loop is None:
            raise RoundStateError("the coordinator is not running", hint="coord.start()")
        return self._loop

    # --- clients and runs -----------------------------------------------------------------------

    def run(self, plan: Plan, task: Task, *, name: str | None = None) -> Run:
        """Start a run and return at once.

        Args:
            plan: How the rounds go.
            task: What is learned; its clients must have been simulated here.
            name: What to call it, unique in the lab; made up when absent.

        Raises:
            PlanError: The plan cannot work with these clients, or the name is taken.
        """
        self._thread()
        population = self._population(task)
        check = plan.check(task)
        invited = plan.invite or 0
        if self._desk is None and (not check.ok or invited > len(population.clients)):
            raise PlanError(
                f"the plan cannot work with {len(population.clients)} clients:\n{check!r}"
            )
        if errors := task.summary().errors:
            raise PlanError("\n".join(errors))
        with self._gate:
            record = new_record(self.lab.store, plan, task, population.simulation, name)
            self.lab.store.state.create_run(record)
            reach("run-created")
            self.note(record.id, "start")
            start = first_version(plan, task)
            job = Job(record, plan, plan.strategy.compose(), population, start, {})
            return self._drive(job, self.lab.picture(record))

    def resume(
        self,
        run: Run,
        task: Task | None = None,
        workers: int | None = None,
        changes: Mapping[str, Any] | None = None,
    ) -> Run:
        """Go on with a run; see `Lab.resume`."""
        with self._gate:
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
                drive.done.exception()  # it is coming to its rest, and goes on from there
            record = self.lab.store.state.run(run.id)
            populate = partial(self._populate, any_workers=workers is None)
            known = [population.task for population in self._populations]
            job = resumed_job(self.lab.store, record, task, known, workers, changes, populate)
            said = "".join(f"; {name}={value}" for name, value in changes.items())
            self.note(record.id, "resume", f"was {record.status}{said}")
            picture = self.picture(record.id)
            if picture is None or (changes and picture.view.round > job.start.round):
                picture = self.lab.picture(record)  # what it showed was forgotten
            return self._drive(job, picture)

    def carry_on(self) -> list[str]:
        """Resume every run whose process died; those that cannot are said in the log.

        Returns:
            Their names.
        """
        going_on = []
        for record in self.lab.store.state.runs():
            if record.status is Status.INTERRUPTED:
                try:
                    going_on.append(self.resume(self.lab.run(record.name)).name)
                except FLBaseError:
                    log.exception("run %s cannot be carried on", record.name)
        return going_on

    def _drive(self, job: Job, picture: Picture) -> Run:
        assert self._io is not None, "the coordinator runs"
        drive = Drive(job, self.lab.store, self._io, picture)
        self._drives[job.record.id] = drive
        picture.on_start(job.plan.rounds)
        self._thread().submit(drive.go())
        return Run(LocalRun(self.lab, job.record, picture))

    def _takes(self, drive: Drive, fact: Fact) -> bool:
        """Pass a command on; False if the run rests or is about to."""

        async def tell() -> bool:
            return drive.tell(fact)

        thread = self._thread()
        return drive.tell(fact) if thread.here else thread.call(tell())

    async def _in_io(self, work: Callable[..., Any], *arguments: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._io, work, *arguments)

    # --- commands -------------------------------------------------------------------------------

    def drives(self, run_id: RunId) -> bool:
        """Whether this coordinator drives the run, or drove it to its rest."""
        return run_id in self._drives

    def done(self, run_id: RunId) -> Future[FLBaseError | None]:
        """Resolves when the run rests, with what a person should know about it."""
        return self._drives[run_id].done

    def picture(self, run_id: RunId) -> Picture | None:
        """The picture of a run that is driven here, or was until it came to rest."""
        drive = self._drives.get(run_id)
        return drive.picture if drive is not None else None

    def tell(self, run_id: RunId, fact: Fact) -> bool:
        """Pass a command on; False if the run is not driven here, or rests."""
        drive = self._drives.get(run_id)
        if drive is None or drive.over:
            return False
        self.note(run_id, type(fact).__name__.removesuffix("Asked").lower())
        self._thread().loop.call_soon_threadsafe(drive.tell, fact)
        return True

    def end(self, run_id: RunId) -> None:
        """End a run, whether it goes on, is coming to its rest, or rests."""
        drive = self._drives.get(run_id)
        self.note(run_id, "stop")
        rest = partial(end_resting, self.lab.store, run_id, self.picture(run_id))
        if drive is not None and not drive.over:
            if self._takes(drive, StopAsked()):
                return
            if self._thread().here:  # a watcher of the run, in the thread that its rest needs
                drive.done.add_done_callback(lambda _: rest())
                return
            drive.done.exception()
        rest()

    def give_up(self, run_id: RunId) -> bool:
        """Give the open round of a run up and wait until it rests.

        Returns:
            Whether it was going on.
        """
        drive = self._drives.get(run_id)
        if drive is None or drive.over:
            return False
        self._thread().loop.call_soon_threadsafe(drive.rest)
        drive.done.exception()  # waits; an error is on the run
        return True

    def redraw(self, run_id: RunId) -> None:
        """Show a run anew whose head was moved; those who watch it see on."""
        if (picture := self.picture(run_id)) is not None:
            picture.become(self.lab.picture(self.lab.store.state.run(run_id)))

    def later(self, delay_s: float, work: Callable[[], None]) -> None:
        """Call something on the loop after a while."""
        loop = self._thread().loop
        loop.call_soon_threadsafe(loop.call_later, delay_s, work)

    def note(self, run_id: RunId, verb: str, reason: str = "") -> None:
        """Write to the operations log who did what."""
        operation = Operation(SYSTEM_CLOCK.now(), getpass.getuser(), verb, run_id, reason)
        if self._io is not None:
            self._io.submit(self.lab.store.state.append_operation, operation)

    def flush(self) -> None:
        """Wait until every durable round is in the tables of `sql`."""
        if self._io is not None:
            self._io.submit(self.lab.store.catch_up).result()

    # --- looks ----------------------------------------------------------------------------------

    def __repr__(self) -> str:
        """One line, from memory."""
        state = f"running since {self._started_at:%H:%M:%S}" if self.running else "stopped"
        return f"Coordinator({self.lab.path.name!r}, {state}, {len(self._drives)} runs)"

    def _repr_mimebundle_(self, **_: object) -> Mapping[str, str]:
        going = [d.picture.view for d in self._drives.values() if not d.picture.view.status.over]
        facts = {
            "lab": str(self.lab.path),
            "clients": ", ".join(f"{len(p.clients)} of {p.task.name}" for p in self._populations)
            or "none yet: coord.simulate(task)",
            "runs": ", ".join(f"{v.name} (round {v.round}/{v.rounds})" for v in going) or "none",
        }
        if self._note:
            facts["note"] = self._note
        status = "running" if self.running else "stopped"
        return cards.bundle(repr(self), cards.card("Coordinator", facts, status=status))


_RUNNING: dict[Path, Coordinator] = {}
_STARTING = threading.Lock()
"""Of two threads that start a coordinator at once, the second gets that of the first."""


def coordinator_of(lab: Path) -> Coordinator | None:
    """The coordinator of this process that holds a lab."""
    return _RUNNING.get(lab)


def _stop_all() -> None:
    for coordinator in tuple(_RUNNING.values()):
        try:
            coordinator.stop()
        except Exception:
            log.exception("%r could not be stopped", coordinator)  # the others still can


# Not `atexit`, which comes after the threads of all executors have been ended: the open round could
# not be given up any more, and the process would wait for it for ever.
threading._register_atexit(_stop_all)  # type: ignore[attr-defined]  # the only hook before that; concurrent.futures uses it too
