"""The state of a lab in a file of its folder.

WAL lets other processes read and enqueue commands while the coordinator writes;
`synchronous=FULL` makes a committed round survive a power cut. A writing transaction begins as
IMMEDIATE, so that it waits for its turn at the start and never fails half way for want of a lock.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DatabaseError, DBAPIError, IntegrityError, OperationalError

from flnb.core import Clock
from flnb.core.errors import LabHeldError, NotFoundError, StoreError
from flnb.store.column_types import to_json
from flnb.store.database import BUSY_TIMEOUT_S, Database
from flnb.store.disk import room_at
from flnb.store.guests import guests
from flnb.store.lease import LOCK, Holder, held_elsewhere, holder

_PRAGMAS = (
    f"PRAGMA busy_timeout={1000 * BUSY_TIMEOUT_S}",
    "PRAGMA synchronous=FULL",
    "PRAGMA foreign_keys=ON",
    "PRAGMA journal_size_limit=16777216",
)
_MEANS = {
    "SQLITE_CONSTRAINT_FOREIGNKEY": "holds no such run",
    "SQLITE_CONSTRAINT_PRIMARYKEY": "holds this already",
    "SQLITE_CONSTRAINT_UNIQUE": "holds this already",
}


class SqliteDatabase(Database):
    """One SQLite file.

    Args:
        path: The file.
        clock: Where the time comes from that is written down.
        create: Make it if it is not there.

    Raises:
        NotFoundError: There is no database and none may be created.
        LabVersionError: It was written by a newer flnb.
        StorageFullError: The disk is full, and tables are lacking.
        StoreError: The file is not a lab's database, or another process has locked it for too long.
    """

    def __init__(self, path: Path, clock: Clock, *, create: bool = True) -> None:
        if not create and not path.exists():
            raise NotFoundError("lab", path.parent)
        self.path = path
        engine = create_engine(
            f"sqlite:///{path}",
            connect_args={"isolation_level": None},  # we say BEGIN, not the driver
            json_serializer=to_json,
            hide_parameters=True,  # errors name the statement, not the secrets in it
        )
        event.listen(engine, "connect", _prepare)
        event.listen(engine, "begin", _begin)
        writer = engine.execution_options(flnb_begin="BEGIN IMMEDIATE")
        self._looking = threading.Lock()
        self._onlooker: sqlite3.Connection | None = None
        self._onlookers = 0
        super().__init__(str(path.parent), engine, writer, clock, create=create)

    def problem(self) -> str:
        """What SQLite finds wrong with the file; empty when it is sound."""
        with self.reading() as connection:
            found = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar()
        return "" if found == "ok" else str(found)

    def version(self) -> object | None:
        """Ask a connection that never writes whether another one has: SQLite counts that for it."""
        with self._looking:
            if self._onlooker is None:
                where = f"file:{quote(str(self.path))}?mode=ro"
                self._onlooker = sqlite3.connect(
                    where, timeout=0.0, uri=True, check_same_thread=False
                )
                self._onlookers += 1
            try:
                (count,) = self._onlooker.execute("PRAGMA data_version").fetchone()
            except sqlite3.OperationalError:
                return None  # it is locked this moment, or cannot be read: whoever reads will hear
        return self._onlookers, count

    def close(self) -> None:
        """Close all connections; the next call opens new ones."""
        with self._looking:
            if self._onlooker is not None:
                self._onlooker.close()
            self._onlooker = None
        super().close()

    def now(self, connection: Connection) -> datetime:
        """The time of this machine: the kernel's lock is what counts in a folder."""
        return self._clock.now()

    def guests(self, connection: Connection) -> Mapping[str, Holder]:
        """Who is at work as a guest: the kernel's locks say so, whatever stands in rows."""
        return guests(self.path.parent)

    @contextmanager
    def _transaction(self, engine: Engine) -> Iterator[Connection]:
        try:
            with room_at(self.path, DBAPIError), engine.begin() as connection:
                yield connection
        except IntegrityError as error:
            broken = getattr(error.orig, "sqlite_errorname", "")
            meaning = _MEANS.get(broken, "cannot hold this")
            raise StoreError(f"{self.path} {meaning}: {error.orig}") from error
        except OperationalError as error:
            if "locked" not in str(error.orig):
                raise
            raise StoreError(
                f"{self.path} was locked by another process for more than {BUSY_TIMEOUT_S} s",
                hint="see which process has it open, then try again",
            ) from error

    def held_elsewhere(self, connection: Connection) -> LabHeldError | None:
        """See `Database.held_elsewhere`."""
        # Whoever gets the lock after this look begins its epoch when this transaction has ended.
        return held_elsewhere(self.path.parent / LOCK)

    @property
    def holds(self) -> bool:
        """See `Database.holds`."""
        found = holder(self.path.parent / LOCK)
        return found is not None and found.is_here

    @contextmanager
    def _creating(self) -> Iterator[Connection]:
        with room_at(self.path, sqlite3.Error), self._reader.connect() as connection:
            driver = connection.connection.dbapi_connection
            assert driver is not None
            driver.cursor().execute("PRAGMA journal_mode=WAL")  # refused inside a transaction
        # Also while another process holds the lab: what is lacking is in nobody's way.
        with self.writing(beside=True) as connection:
            yield connection

    def _check_format(self) -> str:
        try:
            with self.reading() as connection:
                lab_id, lacks = self._found(connection)
        except DatabaseError as error:
            if "no such table" in str(error.orig):
                return ""
            raise StoreError(
                f"{self.path} is not the database of a lab: {error.orig}",
                hint="restore the file from a copy, or open another folder",
            ) from error
        return "" if lacks else lab_id


def _prepare(connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    for pragma in _PRAGMAS:
        cursor.execute(pragma)
    cursor.close()


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get("flnb_begin", "BEGIN"))
