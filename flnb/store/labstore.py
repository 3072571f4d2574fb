"""A lab's folder: state, secret, lock, history and metrics under one roof, each opened late.

    state.db        SQLite: the only commit point
    secret          32 random bytes, readable by its owner alone
    lab.lock        who holds the lab
    history/        Icechunk: committed models
    metrics.duckdb  tables of `lab.sql`, made from state.db
    spool/          uploads on their way into a sum

Nothing is ever written outside it.
"""

from __future__ import annotations

import logging
import os
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Self

import duckdb

from flnb.core import SYSTEM_CLOCK, Clock, SecretRoot, failpoints
from flnb.core.errors import NotFoundError, StoreError
from flnb.processes import ForkServer
from flnb.store.disk import free_bytes, room_at
from flnb.store.history import History
from flnb.store.lease import Holder, Lease, holder
from flnb.store.metrics import Metrics
from flnb.store.records import Closing
from flnb.store.state import StateStore
from flnb.store.writer import HistoryWriter

log = logging.getLogger(__name__)

_SECRET_BYTES = 32
_PROJECT_EVERY_S = 1.0
"""Quick rounds go into the tables together: a transaction there costs as much as 25 rounds in it."""
_LOW_BYTES = 500_000_000


class LabStore:
    """Everything of a lab that lies on the disk; safe to use from any thread.

    Reading works always and from any process. Writing rounds needs the lease.

    Args:
        path: The folder, which holds a state database.
        state: That database.
        clock: Where the time comes from.
        fork_server: Where the writer process comes from; by default the one of this process.
    """

    def __init__(
        self,
        path: Path,
        state: StateStore,
        *,
        clock: Clock = SYSTEM_CLOCK,
        fork_server: ForkServer | None = None,
    ) -> None:
        self.path, self.state, self._clock = path, state, clock
        self._fork_server = fork_server
        self._lease: Lease | None = None
        self._tables: Metrics | None = None
        self._tables_in_memory: Metrics | None = None
        self._writer: HistoryWriter | None = None
        self._waiting: list[Closing] = []
        self._next_projection_s = 0.0
        self._lock = threading.RLock()

    @classmethod
    def open(
        cls,
        path: str | Path,
        *,
        create: bool = True,
        clock: Clock = SYSTEM_CLOCK,
        fork_server: ForkServer | None = None,
    ) -> Self:
        """Open a lab, and make it if it is not there.

        Args:
            path: Its folder.
            create: Whether it may be made.
            clock: Where the time comes from.
            fork_server: Where the writer process comes from; by default the one of this process.

        Raises:
            NotFoundError: There is no lab and none may be made.
            LabVersionError: It was written by a newer flnb.
            StoreError: The folder holds something else.
            StorageFullError: The disk is full.
        """
        folder = Path(path).expanduser().absolute()
        database = folder / "state.db"
        if not database.exists():
            if not create:
                raise NotFoundError("lab", folder)
            _check_empty(folder)
        with room_at(folder):
            folder.mkdir(parents=True, exist_ok=True)
            state = StateStore(database, clock=clock)
            failpoints.reach("lab-made")
            _make_secret(folder / "secret")
        return cls(folder, state, clock=clock, fork_server=fork_server)

    @property
    def id(self) -> str:
        """Identity of the lab, unique for ever; stays when the folder moves."""
        return self.state.lab_id

    @cached_property
    def secret(self) -> SecretRoot:
        """Root of the lab's secret randomness; the key itself is never shown.

        Raises:
            StoreError: The file is damaged.
        """
        key = (self.path / "secret").read_bytes()
        if len(key) < _SECRET_BYTES:
            raise StoreError(
                f"the secret of lab {self.path} has {len(key)} bytes, not {_SECRET_BYTES}",
                hint="restore the file `secret` from a copy of the lab",
            )
        return SecretRoot(key)

    @cached_property
    def history(self) -> History:
        """Committed models, for reading."""
        return History(self.path / "history")

    @property
    def writer(self) -> HistoryWriter:
        """The process that commits models; started with the first commit."""
        with self._lock:
            if self._writer is None:
                self._writer = HistoryWriter(self.path / "history", fork_server=self._fork_server)
            return self._writer

    @property
    def metrics(self) -> Metrics:
        """The tables of `lab.sql` on the disk, for the holder of the lab.

        Raises:
            StoreError: This process does not hold the lab; `reader` is for everybody.
        """
        with self._lock:
            if self._lease is None or not self._lease.held:
                raise StoreError(
                    f"this process does not hold lab {self.path}", hint="store.reader() reads it"
                )
            if self._tables is None:
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

    def lease(self, who: str = "coordinator") -> Lease:
        """Take the lab for writing.

        Args:
            who: What takes it; shown to others.

        Raises:
            LabHeldError: Somebody holds it, and since when.
        """
        with self._lock, room_at(self.path):
            self._lease = Lease(self.path / "lab.lock", who, clock=self._clock)
            return self._lease

    @property
    def holder(self) -> Holder | None:
        """The process that holds the lab, if there is one."""
        return holder(self.path / "lab.lock")

    def close_round(self, closing: Closing) -> Closing:
        """Close a round durably, and bring it into the tables now or together with the next ones.

        Returns:
            The closing with its position.

        Raises:
            StorageFullError: The disk is full; the round is not closed.
        """
        closing = self.state.close_round(closing)
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
        return {part.name: _size_bytes(part) for part in sorted(self.path.iterdir())}

    def health(self) -> list[str]:
        """What a person should look at, in words; empty when all is well."""
        troubles = []
        mode = (self.path / "secret").stat().st_mode & 0o777
        if mode & 0o077:
            troubles.append(f"the secret can be read by others (mode {mode:o}): chmod 600 it")
        if problem := self.state.problem():
            troubles.append(f"state.db is damaged: {problem}")
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
            if self._waiting:
                self._project()
            for tables in filter(None, (self._tables, self._tables_in_memory)):
                tables.close()
            self._writer = self._tables = self._tables_in_memory = None
            self.history.close()
            self.state.close()


def _check_empty(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise StoreError(f"a lab is a folder, {folder} is a file", hint="name another folder")
    if folder.exists() and any(not item.name.startswith(".") for item in folder.iterdir()):
        raise StoreError(
            f"{folder} holds other things and no lab", hint="name a new or an empty folder"
        )


def _make_secret(path: Path) -> None:
    """Write the secret whole or not at all, and never over another one."""
    if path.exists():
        return
    draft = path.with_name(f".secret-{secrets.token_hex(4)}")
    fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(secrets.token_bytes(_SECRET_BYTES))
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)
        except FileExistsError:
            return  # another process opened the lab at the same moment
    finally:
        draft.unlink()


def _size_bytes(part: Path) -> int:
    files = part.rglob("*") if part.is_dir() else [part]
    return sum(file.stat().st_size for file in files if file.is_file())
