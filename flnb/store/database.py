"""The state database of a lab: transactions, format, and what its errors mean.

`sqlite.py` keeps it in a file of the lab's folder, `postgres.py` in a database that several
machines reach. Here is what both have in common.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from sqlalchemy import Column, Connection, Engine, Table, insert, inspect, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.schema import CreateColumn

from flnb.core import Clock, RunId
from flnb.core.errors import (
    LabHeldError,
    LabLostError,
    LabVersionError,
    NotFoundError,
)
from flnb.store import schema
from flnb.store.lease import Holder
from flnb.store.whose import check_no_guest, check_own

BUSY_TIMEOUT_S = 10


class Database:
    """Safe to use from any thread, each call takes a connection of its own.

    Args:
        name: What people call it; without a password.
        reader: Where reading transactions come from.
        writer: Where writing ones come from.
        clock: Where the time comes from that is written down.
        create: Make a lab where there is none, or only half of one.

    Raises:
        NotFoundError: There is no lab and none may be made.
        LabVersionError: It was written by a newer flnb.
        StoreError: It is not a lab's database, or cannot be reached.
    """

    shared = False
    """Whether several machines may open it, so that its holder must renew a lease."""

    def __init__(
        self, name: str, reader: Engine, writer: Engine, clock: Clock, *, create: bool
    ) -> None:
        self.name, self._may_create = name, create
        self.lost: LabLostError | None = None
        """That another process has taken the lab over from this one."""
        self.fence: int | None = None
        """Epoch that this process holds the lab with; writing is refused under any other one."""
        self.guest = ""
        """Under which name this process is a guest of the lab; empty of who is none."""
        self.on_lost: Callable[[LabLostError], None] | None = None
        """Called once, in whatever thread finds out."""
        self._reader, self._writer, self._clock = reader, writer, clock
        self._moment = threading.local()
        try:
            self.lab_id = self._check_format() or self._create()
            self._check_address()
        except BaseException:
            self.close()  # nobody could, once this object is lost
            raise

    def set_writing_option(self, name: str, value: object) -> None:
        """Give all connections that write an option, for whoever writes with them."""
        self._writer = self._writer.execution_options(**{name: value})

    @property
    def lab(self) -> str:
        """Address of the lab, for people."""
        return self.name

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """One consistent view of everything that was committed before.

        Raises:
            StorageUnreachableError: A database elsewhere does not answer.
        """
        if (shared := getattr(self._moment, "connection", None)) is not None:
            yield shared
            return
        with self._transaction(self._reader) as connection:
            yield connection

    @contextmanager
    def at_one_moment(self) -> Iterator[None]:
        """Let all that this thread reads meanwhile be of one moment: one transaction, and few ways.

        What it writes itself meanwhile it does not see.

        Raises:
            StorageUnreachableError: A database elsewhere does not answer.
        """
        before = getattr(self._moment, "connection", None)
        with self.reading() as self._moment.connection:
            try:
                yield
            finally:
                self._moment.connection = before

    @contextmanager
    def writing(
        self, *, fenced: bool = True, beside: bool = False, of: RunId | None = None
    ) -> Iterator[Connection]:
        """One transaction: all of it is durable at the end, or none of it happened.

        Writers wait for each other, so what is read in it stays true until it ends: also who holds
        the lab, since whoever takes it writes that down.

        Args:
            fenced: Whether one that held a shared lab and lost it is refused; not so what anybody
                may write who does not hold it, and taking the lab anew.
            beside: Whether it may be written while another process holds the lab: who may take
                part, and who may look.
            of: The run whose rows these are, of which a guest of the lab may write while it has
                it; None are rows of the whole lab, and not for guests.

        Raises:
            StorageFullError: The disk is full; nothing was written.
            StorageUnreachableError: A database elsewhere does not answer.
            LabHeldError: Another process holds the lab, or is a guest whose run that is and nobody here
                holds the lab; nothing was written.
            LabLostError: Another process has taken the lab over; nothing was written.
            RoundStateError: This process is a guest of the lab, and that is no run of its own.
            StoreError: Another process held the database for too long.
        """
        with self._transaction(self._writer) as connection:
            self._begun(connection, fenced)
            if fenced and self.guest:
                check_own(self, connection, of)
            elif fenced and not beside:
                if (held := self.held_elsewhere(connection)) is not None:
                    raise held
                check_no_guest(self, connection, of)
            yield connection

    @contextmanager
    def renewing(self) -> Iterator[Connection]:
        """A writing transaction for who renews a lease, which must not wait for a connection.

        Raises:
            StorageUnreachableError: The database does not answer.
            LabLostError: Another process has taken the lab over.
        """
        with self.writing() as connection:
            yield connection

    def problem(self) -> str:
        """What is wrong with the database; empty when it is sound."""
        raise NotImplementedError

    def version(self) -> object | None:
        """Another one after each commit of anybody; None where asking is not cheaper than reading."""
        return None

    def secret(self) -> bytes:
        """The lab's secret, if it is kept here."""
        return b""

    def now(self, connection: Connection) -> datetime:
        """The time by which leases end."""
        raise NotImplementedError

    def close(self) -> None:
        """Close all connections; the next call opens new ones."""
        self._reader.dispose()

    def guests(self, connection: Connection) -> Mapping[str, Holder]:
        """Who is at work as a guest of the lab at this moment, by name.

        Args:
            connection: A transaction; who begins after it is not seen.
        """
        raise NotImplementedError

    def dismiss(self, connection: Connection) -> None:
        """Refuse from now on what guests write who are not at work any more; the dead write nothing."""

    # --- what differs ---------------------------------------------------------------------------

    def _transaction(self, engine: Engine) -> Any:
        """A transaction whose errors say what they mean, as a context manager."""
        raise NotImplementedError

    def _begun(self, connection: Connection, fenced: bool) -> None:
        """Called first in each writing transaction."""

    def held_elsewhere(self, connection: Connection) -> LabHeldError | None:
        """Who holds the lab at this moment, if that is another process."""
        raise NotImplementedError

    @property
    def holds(self) -> bool:
        """Whether this process holds the lab at this moment."""
        raise NotImplementedError

    def _creating(self) -> Any:
        """A transaction that makes tables, one process at a time, as a context manager."""
        raise NotImplementedError

    def _first_row(self) -> Mapping[str, Any]:
        """What the row of a new lab holds beside what every lab has."""
        return {}

    def _check_address(self) -> None:
        """Refuse a database that belongs to another lab."""

    def _check_format(self) -> str:
        """Identity of the lab, or nothing when tables are lacking: new, half made, or older."""
        raise NotImplementedError

    def _found(self, connection: Connection) -> tuple[str, bool]:
        """Identity of the lab, and whether it lacks tables or columns."""
        found = connection.execute(select(schema.lab.c.id, schema.lab.c.format)).first()
        if found is not None and found.format > schema.FORMAT:
            raise LabVersionError(self.name, found.format, schema.FORMAT)
        present = set(inspect(connection).get_table_names())
        lacks = not present >= set(schema.metadata.tables) or bool(_missing(connection))
        return "" if found is None else str(found.id), lacks

    def _create(self) -> str:
        with self._creating() as connection:
            schema.metadata.create_all(connection)
            for table, column in _missing(connection):
                added = CreateColumn(column).compile(dialect=connection.dialect)
                connection.exec_driver_sql(f"ALTER TABLE {table} ADD COLUMN {added}")
            known = connection.scalar(select(schema.lab.c.id))
            if known is not None:
                return str(known)  # older, or another process was faster
            if not self._may_create:
                raise NotFoundError("lab", self.lab)
            fresh = secrets.token_hex(8)
            row = {"id": fresh, "format": schema.FORMAT, "created_at": self._clock.now()}
            connection.execute(insert(schema.lab), row | dict(self._first_row()))
        return fresh


def upsert(connection: Connection, table: Table) -> sqlite.Insert | postgresql.Insert:
    """An INSERT that says what happens when the row is there; both databases have the same."""
    if connection.dialect.name == "postgresql":
        return postgresql.insert(table)
    return sqlite.insert(table)


def _missing(connection: Connection) -> list[tuple[str, Column[Any]]]:
    """Columns that the tables of an older lab do not have yet; all of them may be NULL."""
    there = inspect(connection).get_multi_columns()
    known = {table: {one["name"] for one in columns} for (_, table), columns in there.items()}
    return [
        (table.name, column)
        for table in schema.metadata.sorted_tables
        for column in table.c
        if table.name in known and column.name not in known[table.name]
    ]
