"""The state of a lab in PostgreSQL, where several machines reach it.

Writing transactions begin by locking the row of the lab: they wait for each other, as in SQLite,
and see in the same transaction whether another process has taken the lab over (`fence`). A
process that stands still within one loses it after `_IDLE_S`, so that it cannot lock others out.
"""

from __future__ import annotations

import secrets
import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, inspect, select, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, TimeoutError

from flnb.core import Clock
from flnb.core.errors import (
    AddressError,
    LabHeldError,
    LabLostError,
    NotFoundError,
    StorageUnreachableError,
    StoreError,
)
from flnb.store import schema
from flnb.store.column_types import Moment, to_json
from flnb.store.database import BUSY_TIMEOUT_S, Database
from flnb.store.epochs import held_elsewhere
from flnb.store.lease import Holder
from flnb.store.postgres_errors import explained
from flnb.store.secret import SECRET_BYTES
from flnb.store.stays import SWEEP, dismiss, present, stays

_IDLE_S = 10
_STATEMENT_S = 120
_POOL_S = 10
"""Longest wait for a connection: shorter than a lease."""
_SCHEMES = {"postgresql", "postgres"}
_CONNECTION = {
    "connect_timeout": 5,
    "application_name": "flnb",
    # A machine that is gone is noticed within seconds, and not after the two hours of the kernel.
    "keepalives_idle": 5,
    "keepalives_interval": 3,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
}
_SESSION = (
    f"SET lock_timeout = '{BUSY_TIMEOUT_S}s'",
    f"SET idle_in_transaction_session_timeout = '{_IDLE_S}s'",
    f"SET statement_timeout = '{_STATEMENT_S}s'",
    "SET synchronous_commit = on",
)
_NOW = text("SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS at").columns(
    at=Moment
)
_CREATE_LOCK = 0x666C6E62
"""Any number that others are unlikely to use: `flnb`."""


class PostgresDatabase(Database):
    """One PostgreSQL database, or one schema in it, that holds one lab.

    Args:
        url: `postgresql://user:password@host/database`. What it leaves out comes from where every
            program of PostgreSQL takes it: `PGPASSWORD`, `~/.pgpass`, `PGHOST` …
        address: Where the commits of the lab lie; another one than the lab was made with is refused.
        clock: Where the time comes from that is written down.
        create: Make a lab where there is none.

    Raises:
        NotFoundError: There is no lab and none may be made.
        LabVersionError: It was written by a newer flnb.
        StorageUnreachableError: It does not answer.
        StoreError: It is no PostgreSQL address, it refuses, it holds something else or another lab,
            or flnb was installed without what speaks to PostgreSQL.
    """

    shared = True

    def __init__(self, url: str, address: str, clock: Clock, *, create: bool = True) -> None:
        self.address = address
        parsed = _parsed(url)
        name = f"the state database {without_password(url)}"
        engine, self._renewer = _engine(parsed), _engine(parsed)
        for one in (engine, self._renewer):
            event.listen(one, "connect", _prepare)
        reader = engine.execution_options(
            isolation_level="REPEATABLE READ", postgresql_readonly=True
        )
        super().__init__(name, reader, engine, clock, create=create)

    @property
    def lab(self) -> str:
        """Address of the lab: what the database is called matters to nobody else."""
        return self.address

    @contextmanager
    def renewing(self) -> Iterator[Connection]:
        """A writing transaction with a connection of its own."""
        with self._transaction(self._renewer) as connection:
            self._begun(connection, fenced=True)
            yield connection

    def close(self) -> None:
        """Close all connections; the next call opens new ones."""
        super().close()
        self._renewer.dispose()

    def problem(self) -> str:
        """What is wrong; PostgreSQL checks its pages itself, so answering is being sound."""
        with self.reading() as connection:
            connection.execute(select(schema.lab.c.id))
        return ""

    def now(self, connection: Connection) -> datetime:
        """The time of the database, the same for all machines."""
        at: datetime = connection.execute(_NOW).scalar_one()
        return at

    def secret(self) -> bytes:
        """The lab's secret."""
        with self.reading() as connection:
            return bytes(connection.scalar(select(schema.lab.c.secret)) or b"")

    def guests(self, connection: Connection) -> Mapping[str, Holder]:
        """Who is at work as a guest: rows whose lease has not run out."""
        there = present(self, connection)
        return {name: there[name] for name in there if name != SWEEP}

    def dismiss(self, connection: Connection) -> None:
        """Remove guests whose lease has run out."""
        dismiss(self, connection)

    @contextmanager
    def _transaction(self, engine: Engine) -> Iterator[Connection]:
        try:
            with engine.begin() as connection:
                yield connection
        except DBAPIError as error:
            raise explained(error, self.name) from error
        except TimeoutError as error:
            said = f"all connections of this process were busy for {_POOL_S} s"
            raise StorageUnreachableError(self.name, said) from error

    def _begun(self, connection: Connection, fenced: bool) -> None:
        epoch = connection.scalar(select(schema.lab.c.epoch).with_for_update())
        if not fenced or epoch == self.fence or not (self.guest or self.fence):
            return
        if self.guest and stays(connection, self.guest):
            return
        table = schema.epochs.c
        row = connection.execute(select(schema.epochs).where(table.epoch == epoch)).first()
        holder = f"{row.who} (process {row.pid} on {row.host})" if row else "nobody"
        lost = LabLostError(self.address, self.fence or 0, epoch or 0, holder, guest=self.guest)
        # Once, for the row is locked: other threads that find out come after this one.
        first, self.lost = self.lost is None, lost
        if first and self.on_lost is not None:
            self.on_lost(lost)
        raise lost

    def held_elsewhere(self, connection: Connection) -> LabHeldError | None:
        """See `Database.held_elsewhere`."""
        # With a fence it is this process: the row of the lab, which is locked, was just looked at.
        return held_elsewhere(self, connection) if self.fence is None else None

    @property
    def holds(self) -> bool:
        """See `Database.holds`."""
        return self.fence is not None  # the row of the lab, which is locked, was just looked at

    @contextmanager
    def _creating(self) -> Iterator[Connection]:
        # Its tables may not be there yet: there is no row to lock.
        with self._transaction(self._writer) as connection:
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _CREATE_LOCK})
            yield connection

    def _first_row(self) -> Mapping[str, Any]:
        secret = secrets.token_bytes(SECRET_BYTES)
        return {"address": self.address, "secret": secret, "epoch": 0}

    def _check_address(self) -> None:
        with self.reading() as connection:
            known = connection.scalar(select(schema.lab.c.address))
        if known != self.address:
            raise StoreError(
                f"{self.name} holds the lab at {known}, not one at {self.address}",
                hint="open it by that address; another lab needs a database of its own, or a "
                "schema: ?options=-csearch_path%3Dname",
            )

    def _check_format(self) -> str:
        with self.reading() as connection:
            look = inspect(connection)
            present = set(look.get_table_names())
            mine = "lab" in present and {"id", "format", "created_at"} <= {
                column["name"] for column in look.get_columns("lab")
            }
            if mine:
                lab_id, lacks = self._found(connection)
                return "" if lacks else lab_id
        if present:
            raise StoreError(
                f"{self.name} holds other things and no lab: {', '.join(sorted(present)[:5])}",
                hint="give the lab a database of its own: createdb flnb",
            )
        if not self._may_create:
            raise NotFoundError("lab", self.address)
        return ""


def without_password(url: str) -> str:
    """The address of a database, as it may be shown."""
    return _parsed(url).set(drivername="postgresql", query={}).render_as_string()


def _parsed(url: str) -> URL:
    scheme, there, rest = url.partition("://")
    hint = (
        "state=postgresql://user@host/database; the password may come from PGPASSWORD or ~/.pgpass"
    )
    if scheme.partition("+")[0] not in _SCHEMES:
        other = (
            f"{scheme}://" if there else "a file"
        )  # of which no more is said: it may hold a password
        raise AddressError(f"state is kept in PostgreSQL, not in {other}", hint=hint)
    try:
        return make_url(f"postgresql+psycopg://{rest}")
    except (ArgumentError, ValueError):  # whose text may hold the password
        raise AddressError("the address of the state database cannot be read", hint=hint) from None


def _engine(url: URL) -> Engine:
    missing = {name: value for name, value in _CONNECTION.items() if name not in url.query}
    try:
        return create_engine(
            url,
            json_serializer=to_json,
            hide_parameters=True,  # errors name the statement, not the secrets in it
            connect_args=missing,
            pool_timeout=_POOL_S,
            pool_pre_ping=True,  # a server that was started anew has forgotten its connections
        )
    except ImportError as error:
        raise StoreError(
            f"speaking to PostgreSQL needs psycopg: {error}", hint="pip install 'flnb[cloud]'"
        ) from error


def _prepare(connection: Any, record: Any) -> None:
    # People let go of labs without a word, and one that was closed may get a connection back that a
    # thread still had; the driver warns of those that are lost so.
    weakref.finalize(record, connection.close)
    connection.autocommit = True
    for setting in _SESSION:
        connection.execute(setting)
    connection.autocommit = False
