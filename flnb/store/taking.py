"""Taking a lab: by the kernel's lock or by a row that is renewed, and keeping out who held it before."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import RLock

from flnb.core import Clock, RunId, failpoints
from flnb.core.errors import LabLostError, StoreError
from flnb.store.disk import room_at
from flnb.store.guests import GuestLease, tidy, without_guests
from flnb.store.lease import LOCK, Holder, Lease, holder
from flnb.store.owner import claim
from flnb.store.place import HistoryPlace
from flnb.store.records import RunRecord
from flnb.store.shared_lease import SharedLease, SharedStay
from flnb.store.state import StateStore
from flnb.store.stays import SWEEP
from flnb.store.writer import HistoryWriter


class Taking:
    """The part of a lab's store that knows who holds it; `LabStore` inherits it."""

    path: Path
    place: HistoryPlace
    state: StateStore
    _clock: Clock
    _lock: RLock
    _lease: Lease | SharedLease | GuestLease | SharedStay | None

    @property
    def id(self) -> str:
        """Identity of the lab."""
        raise NotImplementedError

    @property
    def address(self) -> str:
        """How the lab is opened."""
        raise NotImplementedError

    @property
    def writer(self) -> HistoryWriter:
        """The process that commits models."""
        raise NotImplementedError

    def lease(
        self, who: str = "coordinator", *, on_lost: Callable[[LabLostError], None] | None = None
    ) -> Lease | SharedLease:
        """Take the lab for writing.

        On a shared lab whoever held it before, and did not let it go in order, is kept out: the
        branches of runs that were going on get a mark that commits of before do not fit.

        Args:
            who: What takes it; shown to others.
            on_lost: Called once, in any thread, when another process has taken a shared lab over.

        Raises:
            LabHeldError: Somebody holds it, and since when.
            StorageUnreachableError: The database or the bucket of a shared lab do not answer.
            StoreError: The bucket ignores conditional writes; the commits belong to another lab.
        """
        with self._lock:
            if self.state.shared or not self.place.local:
                self.writer.check()
            if self.state.shared:
                claim(self.place.below("history"), self.id)
                self._lease = shared = SharedLease(self.state, who, on_lost=on_lost)
                self._keep_others_out(shared)
                return shared
            with room_at(self.path):
                self._lease = lease = Lease(self.path / LOCK, who, clock=self._clock)
                try:
                    self.state.begin_epoch(lease.holder)
                    tidy(self.path)
                except BaseException:
                    lease.release()
                    raise
                return lease

    def be_guest(
        self, name: str, *, on_lost: Callable[[LabLostError], None] | None = None
    ) -> GuestLease | SharedStay:
        """Come into the lab beside whoever holds it, to write runs of one's own.

        From then on this store writes as that guest, until what is returned is released.

        Args:
            name: What the guest is called; one process at a time has a name.
            on_lost: Called once, in any thread, when a shared lab was taken over, or somebody else
                has the runs of this guest, which stood still.

        Raises:
            LabHeldError: A guest of that name is at work, and since when.
            RoundStateError: Commits are being let go.
            StorageUnreachableError: The database or the bucket of a shared lab do not answer.
            StoreError: The bucket ignores conditional writes; the commits belong to another lab.
        """
        with self._lock, room_at(self.path):
            if self.state.shared or not self.place.local:
                self.writer.check()
            if self.state.shared:
                claim(self.place.below("history"), self.id)
                self._lease = stay_there = SharedStay(self.state, name, on_lost=on_lost)
                self.writer.epoch = self._epoch
                return stay_there
            tidy(self.path)
            stay = self.state.be_guest
            lease = GuestLease(self.path, name, left=lambda: stay(""), clock=self._clock)
            self._lease = lease
            stay(name)
            return lease

    def claim_run(self, run: RunId) -> str | None:
        """Take a run to drive it, as whoever holds the lab or as a guest.

        A guest's commits carry the lab's epoch of now from then on: others may have held the lab, and
        driven the run, since it came.

        Returns:
            The guest that had it last; None is whoever held the lab.

        Raises:
            RoundStateError: Another process drives it, or is at work and had it last; says which.
            NotFoundError: There is no such run.
            LabLostError: Another process has taken the lab over, or acted on the lease of this guest.
        """
        before, epoch = self.state.claim_run(run)
        with self._lock:
            if isinstance(self._lease, SharedStay) and epoch > self._lease.epoch:
                self._lease.epoch = epoch
                self.writer.epoch = self._epoch
        return before

    @property
    def guest(self) -> str:
        """Under which name this process is a guest of the lab; empty of who is none."""
        lease = self._lease
        return lease.name if isinstance(lease, GuestLease | SharedStay) and lease.held else ""

    @contextmanager
    def without_guests(self) -> Iterator[Callable[[], None]]:
        """Let no guest be at work meanwhile; gives what raises `LabLostError` as soon as one may be.

        Raises:
            RoundStateError: Guests are at work, and says which; or this process is one.
        """
        self.state.check_whole()
        if self.state.shared:
            with SharedStay(self.state, SWEEP) as sweep:

                def check() -> None:
                    self.check_held()
                    sweep.check()

                yield check
        else:
            with without_guests(self.path):
                yield self.check_held

    @property
    def holder(self) -> Holder | None:
        """The process that holds the lab, if there is one; guests do not."""
        return self.state.leased_to() if self.state.shared else holder(self.path / LOCK)

    def driver(self, record: RunRecord) -> Holder | None:
        """The process that drives a run which goes on: its guest, or who holds the lab; None if gone."""
        return self.state.guests().get(record.guest) if record.guest else self.holder

    def in_charge(self, record: RunRecord) -> Holder | None:
        """The process that is told what to do with a run: its guest while that is there, else the holder."""
        return self.driver(record) or self.holder

    def elsewhere(self, run: RunId) -> Holder | None:
        """The same, if that is another process than this one."""
        found = self.in_charge(self.state.run(run))
        return None if found is None or found.is_here else found

    def guest_elsewhere(self, run: RunId) -> Holder | None:
        """The guest that drives a run, if it is there and is another process than this one."""
        name = self.state.run(run).guest
        found = self.state.guests().get(name) if name else None
        return None if found is None or found.is_here else found

    def check_held(self) -> None:
        """Find out whether a lab that this process took is still its own; in any thread.

        Raises:
            LabLostError: Another one took a shared lab over.
            StorageUnreachableError: The database does not answer.
            StoreError: This process has let the lab go, in whatever thread.
        """
        self.state.check_epoch()
        if self._lease is not None and not self._lease.held:
            raise StoreError(
                f"this process has let lab {self.address} go, and others may hold it by now",
                hint="flnb.Coordinator(lab).start() takes it again",
            )

    @property
    def _epoch(self) -> int:
        """What commits of a shared lab carry."""
        if isinstance(self._lease, SharedStay):
            return max(1, self._lease.epoch)  # also where nobody has held the lab yet
        return self._lease.epoch if isinstance(self._lease, SharedLease) else 0

    def _keep_others_out(self, lease: SharedLease) -> None:
        writer = self.writer
        writer.epoch = lease.epoch
        try:
            if not lease.follows_in_order:
                failpoints.reach("lab-taken-over")
                for record in self.state.runs():
                    if not record.status.over:
                        writer.reset(record.id, self.state.head(record.id).snapshot)
        except BaseException:
            lease.release(in_order=False)
            raise
