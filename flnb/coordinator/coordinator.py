"""The coordinator: one thread, one loop, one lab, any number of runs."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flnb.coordinator.commands import obey
from flnb.coordinator.granting import Granting
from flnb.coordinator.guesting import attend
from flnb.coordinator.here import RUNNING, STARTING, coordinator_of
from flnb.coordinator.lab import Lab
from flnb.coordinator.launching import Launching
from flnb.coordinator.loop import LoopThread
from flnb.coordinator.standing import Standing, going
from flnb.core import pages
from flnb.core.clock import SYSTEM_CLOCK
from flnb.core.errors import LabLostError, RoundStateError, UnreachableError
from flnb.core.failpoints import reach
from flnb.processes import ForkServer

if TYPE_CHECKING:
    from flnb.coordinator.control.hearing import LabEvent
    from flnb.coordinator.control.service import ControlService
    from flnb.store import GuestLease, Lease, SharedLease, SharedStay
    from flnb.transport import Controls, TokenIssuer

log = logging.getLogger(__name__)


class Coordinator(Launching, Granting):
    """Runs federated learning in the background of this process.

    Args:
        lab: Where everything goes; held by this coordinator alone while it runs.
        guest: Whether to be a guest of the lab instead, beside whoever holds it, with runs of its own.
            By default it is one in the cell of a study.
        http_port: Serve REST there once it runs; see `listen`, which has more settings.

    Examples:
        coord = flnb.Coordinator(lab).start()
        coord.simulate(task)
        run = coord.run(plan, task)
    """

    def __init__(
        self, lab: Lab | str | Path, *, guest: bool | None = None, http_port: int | None = None
    ) -> None:
        super().__init__()
        self._http_port = http_port
        self.lab = lab if isinstance(lab, Lab) else Lab.open(lab)
        self._settle(guest)
        self._loop: LoopThread | None = None
        self._io: ThreadPoolExecutor | None = None
        self._warm_up: ThreadPoolExecutor | None = None
        self._lease: Lease | SharedLease | GuestLease | SharedStay | None = None
        self._obeying: Future[None] | None = None
        self._attending: Future[None] | None = None
        self._started_at: datetime | None = None
        self._note = ""
        self._lost: LabLostError | None = None
        self._stopping = threading.Lock()
        self._service: ControlService | None = None

    # --- life -----------------------------------------------------------------------------------

    def start(self) -> Coordinator:
        """Take the lab, or come into it as a guest, and start the thread.

        Returns:
            This coordinator, or the one of this process that holds the lab already: a cell that
            is run again gets the same one.

        Raises:
            LabHeldError: Another process holds the lab, or is the guest of this name.
            LabLostError: Another process took it over while this one stood still.
            StorageFullError: The disk is full.
            StorageUnreachableError: The database or the bucket of a shared lab do not answer.
        """
        with STARTING:
            if (running := coordinator_of(self.lab.path)) is None:
                self._take()
                if self._lost is not None:  # this process stood still meanwhile
                    self.stop()
                    raise self._lost
                self._open_http()
                return self
        running._note = f"already running since {running._started_at:%H:%M:%S}"
        return running

    def _open_http(self) -> None:
        if self._http_port is None:
            return
        try:
            self.listen(http_port=self._http_port)
        except BaseException:
            self.stop()
            raise

    def _take(self) -> None:
        self._lost = None
        store, guest = self.lab.store, self.guest
        lose = self._lose
        lease = store.be_guest(guest, on_lost=lose) if guest else store.lease(on_lost=lose)
        try:
            store.state.interrupted()
            store.state.drop_commands("the coordinator that was asked has ended")
        except BaseException:
            lease.release()
            raise
        reach("lab-taken")
        self._lease = lease
        with self._stopping:  # who loses the lab meanwhile stops all of this, and not a part
            try:
                self._begin()
            except BaseException:
                self._stop()
                raise

    def _begin(self) -> None:
        store, guest = self.lab.store, self.guest
        self._io = ThreadPoolExecutor(1, thread_name_prefix="flnb-io")
        self._loop = LoopThread("flnb-coordinator")
        self._loop.start()
        ForkServer.shared()  # imports torch while the user reads on; workers are forked from it
        self.rest(store.state.quarantines())
        self._started_at = SYSTEM_CLOCK.now().astimezone()
        RUNNING[self.lab.path] = self
        self._io.submit(store.catch_up)
        self._warm_up = ThreadPoolExecutor(1, thread_name_prefix="flnb-warm-up")
        self._warm_up.submit(store.writer.start)  # it imports for a second or two
        self._warm_up.shutdown(wait=False)
        self._obeying = self._loop.submit(obey(self, self._in_io))
        if guest:
            self._note = f"guest {guest}, beside whoever holds the lab"
        else:
            self._attending = self._loop.submit(attend(store, self._in_io))

    def stop(self) -> None:
        """Give open rounds up, save, and let the lab go. Runs can be resumed.

        Raises:
            RoundStateError: Called from a callback of this coordinator.
        """
        if self._loop is not None and self._loop.here:
            raise RoundStateError("a callback of the coordinator must not stop the coordinator")
        with self._stopping:  # it may stop itself meanwhile
            self._stop()

    def _stop(self) -> None:
        if self._io is None:
            return
        RUNNING.pop(self.lab.path, None)
        if self._loop is not None:  # there is none yet where the start has failed
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
            if self._loop is not None:
                last.callback(self._loop.stop)
            self._populations = []
            try:
                self._close_desk()
            finally:
                self._loop = self._io = self._lease = None

    def _lose(self, lost: LabLostError) -> None:
        """Another process has taken the lab over: stop, in a thread that may wait for all others."""
        log.error("%s", lost)
        self._lost, self._note = lost, lost.message
        threading.Thread(target=self.stop, name="flnb-lost").start()

    @property
    def lost(self) -> LabLostError | None:
        """Why it stopped itself, if another process has taken the lab over."""
        return self._lost

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
            if self._lost is not None:
                raise self._lost
            raise RoundStateError("the coordinator is not running", hint="coord.start()")
        return self._loop

    async def _in_io(self, work: Callable[..., Any], *arguments: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._io, work, *arguments)

    # --- looks ----------------------------------------------------------------------------------

    @property
    def standing(self) -> Standing:
        """How it stands now, from memory."""
        return Standing(
            name=self.lab.name,
            folder=self.lab.address,
            since=f"{self._started_at:%H:%M:%S}" if self.running else "",
            n_runs=len(self._drives),
            clients=", ".join(f"{len(p.clients)} of {p.task.name}" for p in self._populations)
            or "none yet: coord.simulate(task)",
            going=going(drive.picture.view for drive in self._drives.values()),
            note=self._note,
            http=self.http or "",
            simulated=self._simulated(),
        )

    def panel(self) -> Any:
        """Show all runs as a page, in a cell; see `Run.panel`."""
        return pages.page("coordinator", self)

    def events(self, after: str = "") -> Iterator[LabEvent]:
        """Hear what happens in the lab, in one order, until the coordinator stops; docs/events.md.

        Listens on loopback if nothing does. Without a cursor a snapshot comes first.

        Args:
            after: The cursor of the last event that was heard; what is durable after it comes first.

        Yields:
            Each event, as it happens.

        Raises:
            RoundStateError: Not started, or called in a callback of the coordinator.
        """
        from flnb.coordinator.control.hearing import heard

        self.listen()
        assert self._service is not None, "it listens now"
        with contextlib.suppress(UnreachableError):  # it has stopped
            yield from heard(self._thread(), self._service.hear(after))

    def _controls(self, issuer: TokenIssuer) -> Controls:
        from flnb.coordinator.control.service import ControlService  # brings grpc

        self._service = ControlService(self, issuer)
        return self._service

    def __repr__(self) -> str:
        """One line, from memory."""
        return self.standing.line

    def _repr_mimebundle_(self, **_: object) -> Mapping[str, str]:
        return self.standing.bundle()
