"""The part of a coordinator that finds runs and tells them things."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from threading import RLock
from typing import TYPE_CHECKING

from flnb.coordinator.acting import actor
from flnb.coordinator.jobs import end_resting
from flnb.core.clock import SYSTEM_CLOCK
from flnb.core.errors import FLBaseError, RoundStateError
from flnb.core.ids import RunId
from flnb.rounds import Fact, StopAsked
from flnb.store import Operation, Table

if TYPE_CHECKING:
    from flnb.coordinator.drive import Drive
    from flnb.coordinator.lab import Lab
    from flnb.coordinator.loop import LoopThread
    from flnb.coordinator.picture import Picture
    from flnb.coordinator.run import Run
    from flnb.coordinator.run_list import RunList


class Steering:
    """Runs of a coordinator; `Coordinator` inherits it."""

    lab: Lab
    gate: RLock
    _drives: dict[RunId, Drive]
    _io: ThreadPoolExecutor | None

    def _thread(self) -> LoopThread:
        raise NotImplementedError

    def _forget(self, run: RunId) -> None:
        """Called once a run that rested is over."""

    def _taken_back(self, run: RunId, generation: int) -> None:
        """Called when the head of a run was moved."""

    # --- finding them ---------------------------------------------------------------------------

    def runs(self) -> RunList:
        """Every run of the lab, newest first."""
        return self.lab.runs()

    def attach(self, name: str) -> Run:
        """Find a run again; see `Lab.attach`."""
        return self.lab.attach(name)

    def sql(self, query: str, *, rows: int = 10_000, timeout_s: float = 5.0) -> Table:
        """Ask the lab; see `Lab.sql`."""
        return self.lab.sql(query, rows=rows, timeout_s=timeout_s)

    @property
    def operations(self) -> Table:
        """The operations log of the lab; see `Lab.operations`."""
        return self.lab.operations

    # --- telling them things --------------------------------------------------------------------

    def _takes(self, drive: Drive, fact: Fact) -> bool:
        """Pass a command on; False if the run rests or is about to."""

        async def tell() -> bool:
            return drive.tell(fact)

        thread = self._thread()
        return drive.tell(fact) if thread.here else thread.call(tell())

    def drives(self, run_id: RunId) -> bool:
        """Whether this coordinator drives the run, or drove it to its rest."""
        return run_id in self._drives

    @property
    def driven(self) -> tuple[RunId, ...]:
        """Every run that this coordinator drives, or drove to its rest."""
        return tuple(self._drives)

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

        def rest() -> None:
            end_resting(self.lab.store, run_id, self.picture(run_id))
            self._forget(run_id)

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

        Raises:
            RoundStateError: Called in a callback of the coordinator, which would wait for itself.
        """
        drive = self._drives.get(run_id)
        if drive is None or drive.over:
            return False
        self._wait_out(drive, first=drive.rest)
        return True

    def _wait_out(self, drive: Drive, first: Callable[[], None] | None = None) -> None:
        """Wait until a drive is over; why it is stands on its run."""
        thread = self._thread()
        if thread.here:
            raise RoundStateError(
                "a callback of the coordinator must not wait until a run rests",
                hint="do it in a thread of its own: threading.Thread(target=run.resume).start()",
            )
        if first is not None:
            thread.loop.call_soon_threadsafe(first)
        drive.done.exception()

    def redraw(self, run_id: RunId) -> None:
        """Show a run anew whose head was moved; those who watch it see on, and clients hear of it."""
        record = self.lab.store.state.run(run_id)
        self._taken_back(run_id, record.generation)
        if (picture := self.picture(run_id)) is not None:
            picture.become(self.lab.picture(record))

    def later(self, delay_s: float, work: Callable[[], None]) -> None:
        """Call something on the loop after a while."""
        loop = self._thread().loop
        loop.call_soon_threadsafe(loop.call_later, delay_s, work)

    def note(self, run_id: RunId, verb: str, reason: str = "") -> None:
        """Write to the operations log who did what."""
        operation = Operation(SYSTEM_CLOCK.now(), actor(), verb, run_id, reason)
        if self._io is not None:
            self._io.submit(self.lab.store.state.append_operation, operation)

    def flush(self) -> None:
        """Wait until every durable round is in the tables of `sql`."""
        if self._io is not None:
            self._io.submit(self.lab.store.catch_up).result()
