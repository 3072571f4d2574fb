"""What people did to runs, and what other processes ask the coordinator to do."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import fields
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from flnb.core import Clock, RunId
from flnb.core.errors import NotFoundError
from flnb.core.view import Status
from flnb.store import log, schema
from flnb.store.database import Database
from flnb.store.records import Command, Operation
from flnb.store.signing import LogKey
from flnb.store.whose import OWN

OF_THE_LAB = ("expire",)
"""Verbs of commands that only whoever holds the lab carries out, whosever run they name."""


class Requests:
    """The part of the state that people write: operations, kept for ever, and commands."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock

    def append_operation(self, operation: Operation, *, pauses: str = "") -> None:
        """Note for ever what somebody did.

        Args:
            operation: What was done.
            pauses: Why its run is paused by it, in the same transaction; empty if it is not.
        """
        with self._database.writing(of=operation.run) as connection:
            log.append(connection, operation)
            if pauses:
                rests = {"status": Status.PAUSED, "error": pauses, "updated_at": self._clock.now()}
                of_run = schema.runs.c.id == operation.run
                connection.execute(update(schema.runs).where(of_run).values(rests))

    def log_head(self) -> tuple[int, str]:
        """Place and digest of the newest operation; (0, "") before the first."""
        with self._database.reading() as connection:
            return log.head(connection)

    def sign_log_with(self, key: Callable[[], LogKey]) -> None:
        """Let every operation be signed from now on.

        Args:
            key: Gives the lab's key, with the first operation that is written.
        """
        self._database.set_writing_option(log.KEY, key)

    def signed_log_head(self) -> tuple[int, str, str]:
        """Place, digest and signature of the newest operation; what goes into a commit."""
        with self._database.reading() as connection:
            return log.signed_head(connection)

    def log_key(self) -> bytes | None:
        """The public key that the log is signed with; None before the first signed operation."""
        with self._database.reading() as connection:
            return log.public_key(connection)

    def log_damage(self, known: Mapping[int, str]) -> str:
        """Say where the log was changed or cut; empty when it is whole.

        Args:
            known: Place to digest of operations, as commits carry them.
        """
        with self._database.reading() as connection:
            return log.first_damage(connection, known)

    def operations(self, run: RunId | None = None) -> list[Operation]:
        """What was done to one run or to all, oldest first."""
        table = schema.operations
        query = select(*(table.c[field.name] for field in fields(Operation)))
        query = query if run is None else query.where(table.c.run == run)
        with self._database.reading() as connection:
            return [_operation(row) for row in connection.execute(query.order_by(table.c.position))]

    def operations_after(
        self, position: int, runs: Collection[RunId] | None = None
    ) -> list[tuple[int, Operation]]:
        """What was done after a place of the log, each with its own place, oldest first.

        Args:
            position: The place.
            runs: Only what was done to these.
        """
        table = schema.operations
        names = ("position", *(field.name for field in fields(Operation)))
        query = select(*(table.c[name] for name in names)).where(table.c.position > position)
        query = query if runs is None else query.where(table.c.run.in_(runs))
        with self._database.reading() as connection:
            found = connection.execute(query.order_by(table.c.position)).all()
        return [(row.position, _operation(row)) for row in found]

    def enqueue_command(
        self, run: RunId, verb: str, arguments: Mapping[str, Any] | None = None
    ) -> Command:
        """Ask the coordinator for something, from any process, also one that held the lab before.

        Args:
            run: What it is about.
            verb: Such as `pause`.
            arguments: More about it, as JSON.
        """
        asked_at = self._clock.now()
        arguments = dict(arguments or {})
        row = {"run": run, "verb": verb, "asked_at": asked_at, "arguments": arguments}
        with self._database.writing(fenced=False) as connection:
            key = connection.execute(insert(schema.commands), row).inserted_primary_key
        assert key is not None
        return Command(key[0], run, verb, asked_at, arguments=arguments)

    def withdraw_command(self, number: int, result: str) -> bool:
        """Take a command back, from any process; returns whether nobody had begun it.

        Args:
            number: Which.
            result: What is written where the answer would be.
        """
        table = schema.commands.c
        waits = (table.result.is_(None), table.begun_at.is_(None))
        change = update(schema.commands).where(table.id == number, *waits)
        with self._database.writing(fenced=False) as connection:
            return bool(connection.execute(change.values(result=result)).rowcount)

    def begin_command(self, number: int) -> bool:
        """Claim a command before it is carried out; returns whether it is still wanted.

        Whoever began it already, and could not write what became of it, may do so again.

        Args:
            number: Which.
        """
        table = schema.commands.c
        change = update(schema.commands).where(table.id == number, table.result.is_(None))
        with self._database.writing(of=OWN) as connection:
            begun = connection.execute(change.values(begun_at=self._clock.now()))
            return bool(begun.rowcount)

    def pending_commands(self) -> list[Command]:
        """What this process is asked for and has not answered yet, begun or not, oldest first.

        A guest is asked about its runs, whoever holds the lab about all others and the lab itself.
        """
        with self._database.reading() as connection:
            return [_command(row) for row in _waiting(self._database, connection)]

    def command(self, number: int) -> Command:
        """Look up what became of a command.

        Raises:
            NotFoundError: There is no such command.
        """
        query = select(schema.commands).where(schema.commands.c.id == number)
        with self._database.reading() as connection:
            row = connection.execute(query).first()
        if row is None:
            raise NotFoundError("command", number)
        return _command(row)

    def drop_commands(self, result: str) -> int:
        """Finish all commands that wait for this process, which starts; returns how many.

        Args:
            result: What those who asked are told.
        """
        table = schema.commands
        with self._database.writing(of=OWN) as connection:
            mine = [row.id for row in _waiting(self._database, connection)]
            change = update(table).where(table.c.id.in_(mine)).values(result=result)
            return connection.execute(change).rowcount

    def finish_command(self, number: int, result: str) -> None:
        """Write what became of a command that was begun; another one stays as it is."""
        table = schema.commands.c
        begun = (table.result.is_(None), table.begun_at.is_not(None))
        change = update(schema.commands).where(table.id == number, *begun)
        with self._database.writing(of=OWN) as connection:
            connection.execute(change.values(result=result))


def _waiting(database: Database, connection: Connection) -> list[Row[Any]]:
    table, runs = schema.commands, schema.runs.c
    query = select(table, runs.guest).join(schema.runs, runs.id == table.c.run)
    query = query.where(table.c.result.is_(None)).order_by(table.c.id)
    rows = list(connection.execute(query))
    if database.guest:
        return [row for row in rows if row.guest == database.guest and row.verb not in OF_THE_LAB]
    there = database.guests(connection) if any(row.guest for row in rows) else {}
    return [row for row in rows if row.guest not in there or row.verb in OF_THE_LAB]


def _operation(row: Row[Any]) -> Operation:
    found = {field.name: row._mapping[field.name] for field in fields(Operation)}
    return Operation(**found | {"details": row.details or {}})


def _command(row: Row[Any]) -> Command:
    found = {field.name: row._mapping[field.name] for field in fields(Command)}
    return Command(**found | {"arguments": row.arguments or {}})
