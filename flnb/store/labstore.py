"""A lab: state, secret, lease, history and metrics under one roof, each opened late.

    state.db        SQLite: the only commit point
    secret          32 random bytes, readable by its owner alone
    lab.lock        who holds the lab
    .lock           locked while the history is made
    history/        Icechunk: committed models
    metrics.duckdb  tables of `lab.sql`, made from state.db
    guests.lock     guests share it; who lets commits go has it alone
    guests/         who is at work as a guest
    spool/          uploads on their way into a sum
    kept/           single updates of the last rounds, encrypted, where a plan keeps them

Nothing is ever written outside that folder. Of a shared lab, state, secret and lease are in
PostgreSQL, the history lies where the lab's address says, and the rest in a working folder of each
machine.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Self

import duckdb

from flnb.core import SYSTEM_CLOCK, Clock, SecretRoot, failpoints
from flnb.core.durations import Durations
from flnb.core.errors import StoreError
from flnb.processes import ForkServer
from flnb.store.address import LabAddress
from flnb.store.disk import free_bytes
from flnb.store.history import History
from flnb.store.kept import KeptUpdates
from flnb.store.metrics import Metrics
from flnb.store.opening import open_state
from flnb.store.own_rows import OwnRows
from flnb.store.place import HistoryPlace
from flnb.store.records import Closing
from flnb.store.secret import secret_root
from flnb.store.signing import LogKey
from flnb.store.state import StateStore
from flnb.store.taking import Taking
from flnb.store.writer import HistoryWriter

log = logging.getLogger(__name__)

_PROJECT_EVERY_S = 1.0
"""Quick rounds go into the tables together: a transaction there costs as much as 25 rounds in it."""
_LOW_BYTES = 500_000_000


class LabStore(Taking):
    """Everything of a lab that lasts; safe to use from any thread.

    Reading works always and from any process. Writing rounds needs the lease.

    Args:
        path: The folder of the lab, or this machine's working folder of a shared one.
        state: The state database.
        place: Where the commits of the lab lie; by default the folder.
        clock: Where the time comes from.
        fork_server: Where the writer process comes from; by default the one of this process.
    """

    def __init__(
        self,
        path: Path,
        state: StateStore,
        *,
        place: HistoryPlace | None = None,
        clock: Clock = SYSTEM_CLOCK,
        fork_server: ForkServer | None = None,
    ) -> None:
        self.path, self.state, self._clock = path, state, clock
        self.place = place or HistoryPlace(path)
        self._fork_server = fork_server
        self._lease = None
        self._tables: Metrics | None = None
        self._tables_in_memory: Metrics | None = None
        self._writer: HistoryWriter | None = None
        self._waiting: list[Closing] = []
        self._next_projection_s = 0.0
        self.closing_s = Durations()
        """How long closing transactions of this process took."""
        self.state_address: str | None = None
        """Of the database of a shared lab, maybe with a password: for processes of ours alone."""
        self._lock = threading.RLock()
        state.sign_log_with(lambda: self.log_key)
        state.rename_doubles()

    @classmethod
    def open(
        cls,
        address: str | Path,
        state: str | None = None,
        *,
        create: bool = True,
        clock: Clock = SYSTEM_CLOCK,
        fork_server: ForkServer | None = None,
    ) -> Self:
        """Open a lab, and make it if it is not there.

        Args:
            address: Its folder, or `s3://bucket/prefix`.
            state: Address of the PostgreSQL database of a shared lab; for S3 by default that in
                `DATABASE_URL`.
            create: Whether it may be made.
            clock: Where the time comes from.
            fork_server: Where the writer process comes from; by default the one of this process.

        Raises:
            NotFoundError: There is no lab and none may be made; or no such bucket.
            LabVersionError: It was written by a newer flnb.
            StorageUnreachableError: The database or the bucket do not answer.
            AccessRefusedError: The bucket does not let us in.
            StoreError: The folder or the database holds something else, or refuses; the bucket
                ignores conditional writes.
            StorageFullError: The disk is full.
        """
        named = LabAddress.parse(address, state)
        folder, opened = open_state(named, clock, create=create)
        store = cls(folder, opened, place=named.place, clock=clock, fork_server=fork_server)
        store.state_address = named.state
        return store

    @property
    def id(self) -> str:
        """Identity of the lab, unique for ever; stays when the folder moves."""
        return self.state.lab_id

    @property
    def address(self) -> str:
        """How the lab is opened: its folder, or `s3://bucket/prefix`."""
        return str(self.place)

    @cached_property
    def log_key(self) -> LogKey:
        """What the operations log is signed with.

        Raises:
            StoreError: The secret is damaged.
        """
        return LogKey(self.secret)

    @cached_property
    def secret(self) -> SecretRoot:
        """Root of the lab's secret randomness; the key itself is never shown.

        Raises:
            StoreError: It is damaged.
        """
        shared = self.state.shared
        key = self.state.shared_secret() if shared else (self.path / "secret").read_bytes()
        return secret_root(key, self.address)

    @cached_property
    def kept(self) -> KeptUpdates:
        """Single updates of the last rounds, where plans ask for them."""
        return KeptUpdates(self.path / "kept", lambda: self.secret)

    @cached_property
    def history(self) -> History:
        """Committed models, for reading."""
        return History(self.place.below("history"))

    @property
    def writer(self) -> HistoryWriter:
        """The process that commits models; started with the first commit."""
        with self._lock:
            if self._writer is None:
                where = self.place.below("history")
                self._writer = HistoryWriter(where, fork_server=self._fork_server)
                self._writer.epoch = self._epoch
            return self._writer

    @property
    def metrics(self) -> Metrics:
        """The tables of `lab.sql` on the disk, for the holder of the lab; a guest's are in memory.

        A guest's are of its runs only: it cannot open the file, and needs no others.

        Raises:
            StoreError: This process does not hold the lab; `reader` is for everybody.
        """
        with self._lock:
            if self._lease is None or not self._lease.held:
                raise StoreError(
                    f"this process does not hold lab {self.address}", hint="store.reader() reads it"
                )
            if self._tables is None and self.guest:
                self._tables = Metrics(OwnRows(self.state, self.guest))
            elif self._tables is None:
                self._tables = Metrics(self.state, self.path / "metrics.duckdb")
            return self._tables

    @contextmanager
    def reader(self) -> Iterator[Metrics]:
        """The tables of `lab.sql` for anybody, made in memory from the state database.

        DuckDB lets no second process open the file, and an open reader would keep a coordinator
        from starting; so this one never touches it.
        """
        with self._lock:
            if self._tables_in_memory is None:
                self._tables_in_memory = Metrics(self.state)
            tables = self._tables_in_memory
        tables.catch_up()
        yield tables

    @property
    def clock(self) -> Clock:
        """Where the time comes from."""
        return self._clock

    def close_round(self, closing: Closing) -> Closing:
        """Close a round durably, and bring it into the tables now or together with the next ones.

        Returns:
            The closing with its position.

        Raises:
            StorageFullError: The disk is full; the round is not closed.
        """
        began_s = self._clock.monotonic_s()
        closing = self.state.close_round(closing)
        self.closing_s.add(self._clock.monotonic_s() - began_s)
        with self._lock:
            self._waiting.append(closing)
            if self._clock.monotonic_s() >= self._next_projection_s:
                self._project()
        return closing

    def catch_up(self) -> int:
        """Bring every closed round into the tables on the disk; returns how many were missing."""
        with self._lock:
            self._waiting.clear()
        return self.metrics.catch_up()

    def take_up(self) -> int:
        """Bring rounds into the tables that guests closed; returns how many were looked at."""
        return self.metrics.take_up()

    def _project(self) -> None:
        closings, self._waiting = self._waiting, []
        try:
            self.metrics.apply(closings)
        except (duckdb.Error, StoreError) as error:
            # The rounds are safe, and their rows come with the next `catch_up`.
            log.warning("rounds up to %s are not in the tables yet: %s", closings[-1].round, error)
        self._next_projection_s = self._clock.monotonic_s() + _PROJECT_EVERY_S
        failpoints.reach("after-projection")

    def sizes(self) -> dict[str, int]:
        """Bytes on the disk, by part."""
        found = {part.name: _size_bytes(part) for part in sorted(self.path.iterdir())}
        return found | {"history": self.history.size_bytes} if self.state.shared else found

    def health(self) -> list[str]:
        """What a person should look at, in words; empty when all is well."""
        troubles = []
        mode = 0 if self.state.shared else (self.path / "secret").stat().st_mode & 0o777
        if mode & 0o077:
            troubles.append(f"the secret can be read by others (mode {mode:o}): chmod 600 it")
        if problem := self.state.problem():
            troubles.append(f"the state is damaged: {problem}")
        if (free := free_bytes(self.path)) < _LOW_BYTES:
            troubles.append(f"only {free / 1e6:.0f} MB are free where the lab lies")
        if (self.path / "metrics.duckdb.old").exists():
            troubles.append("metrics.duckdb was made anew; metrics.duckdb.old can be deleted")
        return troubles

    def close(self) -> None:
        """End the writer and close all files; what is used later is opened again."""
        with self._lock:
            if self._writer is not None:
                self._writer.close()
            if self._waiting and self._lease is not None and self._lease.held:
                self._project()  # whoever took the lab over has the rows in tables of its own
            for tables in filter(None, (self._tables, self._tables_in_memory)):
                tables.close()
            self._writer = self._tables = self._tables_in_memory = None
            self.history.close()
            self.state.close()


def _size_bytes(part: Path) -> int:
    files = part.rglob("*") if part.is_dir() else [part]
    return sum(file.stat().st_size for file in files if file.is_file())
