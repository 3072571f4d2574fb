"""The SQLite file of a lab: connections, transactions, format, and what its errors mean.

WAL lets other processes read and enqueue commands while the coordinator writes;
`synchronous=FULL` makes a committed round survive a power cut. A writing transaction begins as
IMMEDIATE, so that it waits for its turn at the start and never fails half way for want of a lock.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import Column, Connection, Engine, create_engine, event, insert, inspect, select
from sqlalchemy.exc import DatabaseError, DBAPIError, IntegrityError, OperationalError
from sqlalchemy.schema import CreateColumn

from flnb.core import Clock
from flnb.core.errors import LabVersionError, NotFoundError, StoreError
from flnb.store import schema
from flnb.store.disk import room_at

BUSY_TIMEOUT_S = 10
_PRAGMAS = (
    f"PRAGMA busy_timeout={1000 * BUSY_TIMEOUT_S}",
    "PRAGMA synchronous=FULL",
    "PRAGMA foreign_keys=ON",
    "PRAGMA journal_size_limit=16777216",
)


class Database:
    """One SQLite file; safe to use from any thread, each call takes a connection of its own.

    Raises:
        NotFoundError: There is no database and none may be created.
        LabVersionError: It was written by a newer flnb.
        StoreError: The file is not a lab's database.
    """

    def __init__(self, path: Path, clock: Clock, *, create: bool = True) -> None:
        if not create and not path.exists():
            raise NotFoundError("lab", path.parent)
        self.path = path
        self._engine = create_engine(
            f"sqlite:///{path}",
            connect_args={"isolation_level": None},  # we say BEGIN, not the driver
            json_serializer=_to_json,
        )
        event.listen(self._engine, "connect", _prepare)
        event.listen(self._engine, "begin", _begin)
        self._writer = self._engine.execution_options(flnb_begin="BEGIN IMMEDIATE")
        self.lab_id = self._check_format() or self._create(clock)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """One consistent view of everything that was committed before."""
        with self._transaction(self._engine) as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """One transaction: all of it is durable at the end, or none of it happened.

        Raises:
            StorageFullError: The disk is full; nothing was written.
            StoreError: Another process held the database for too long.
        """
        with self._transaction(self._writer) as connection:
            yield connection

    def problem(self) -> str:
        """What SQLite finds wrong with the file; empty when it is sound."""
        with self.reading() as connection:
            found = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar()
        return "" if found == "ok" else str(found)

    def close(self) -> None:
        """Close all connections; the next call opens new ones."""
        self._engine.dispose()

    @contextmanager
    def _transaction(self, engine: Engine) -> Iterator[Connection]:
        try:
            with room_at(self.path, DBAPIError), engine.begin() as connection:
                yield connection
        except IntegrityError as error:
            raise StoreError(f"{self.path} holds no such run: {error.orig}") from error
        except OperationalError as error:
            if "locked" not in str(error.orig):
                raise
            raise StoreError(
                f"{self.path} was locked by another process for more than {BUSY_TIMEOUT_S} s",
                hint="see which process has it open, then try again",
            ) from error

    def _check_format(self) -> str:
        """Identity of the lab, or nothing when the file lacks tables: new, half made, or older."""
        try:
            with self.reading() as connection:
                found = connection.execute(select(schema.lab.c.id, schema.lab.c.format)).first()
                present = set(inspect(connection).get_table_names())
                lacks = not present >= set(schema.metadata.tables) or _missing(connection)
        except DatabaseError as error:
            if "no such table" in str(error.orig):
                return ""
            raise StoreError(
                f"{self.path} is not the database of a lab: {error.orig}",
                hint="restore the file from a copy, or open another folder",
            ) from error
        if found is not None and found.format > schema.FORMAT:
            raise LabVersionError(str(self.path.parent), found.format, schema.FORMAT)
        return "" if found is None or lacks else str(found.id)

    def _create(self, clock: Clock) -> str:
        with room_at(self.path, sqlite3.Error), self._engine.connect() as connection:
            driver = connection.connection.dbapi_connection
            assert driver is not None
            driver.cursor().execute("PRAGMA journal_mode=WAL")  # refused inside a transaction
        with self.writing() as connection:
            schema.metadata.create_all(connection)
            for table, column in _missing(connection):
                added = CreateColumn(column).compile(dialect=connection.dialect)
                connection.exec_driver_sql(f"ALTER TABLE {table} ADD COLUMN {added}")
            known = connection.scalar(select(schema.lab.c.id))
            if known is not None:
                return str(known)  # another process was faster
            fresh = secrets.token_hex(8)
            row = {"id": fresh, "format": schema.FORMAT, "created_at": clock.now()}
            connection.execute(insert(schema.lab), row)
        return fresh


def _missing(connection: Connection) -> list[tuple[str, Column[Any]]]:
    """Columns that the tables of an older lab do not have yet; all of them may be NULL."""
    known = inspect(connection)
    return [
        (table.name, column)
        for table in schema.metadata.sorted_tables
        if len(there := {one["name"] for one in known.get_columns(table.name)}) < len(table.c)
        for column in table.c
        if column.name not in there
    ]


def _prepare(connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    for pragma in _PRAGMAS:
        cursor.execute(pragma)
    cursor.close()


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get("flnb_begin", "BEGIN"))


def _to_json(value: Any) -> str:
    return json.dumps(value, default=_plain)


def _plain(value: Any) -> Any:
    if isinstance(value, (np.ndarray, np.generic)):
        return value.tolist()
    raise TypeError(f"the state database holds JSON, not {type(value).__name__}")
