"""The newest of a lab: what was made durable after a cursor, in one order for everybody.

Writers of the state database wait for each other, so that positions become visible in their order: who
has seen one has missed none below it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, select

from flnb.core import RunId
from flnb.store import closing_rows, schema
from flnb.store.cursor import Cursor
from flnb.store.database import Database
from flnb.store.records import Closing, Forgotten, Operation

_PAGE = 256
"""Of each kind, read at a time."""


@dataclass(frozen=True, slots=True)
class Happened:
    """Something durable, and where it leaves whoever hears of it."""

    cursor: Cursor
    what: Closing | Forgotten | Operation
    """A closing comes without its rows of clients; and once more when it gets its commit or loses it."""

    @property
    def is_operation(self) -> bool:
        """Whether its place is among the operations; else it is among the closings."""
        return isinstance(self.what, Operation)


@dataclass(frozen=True, slots=True)
class Glimpse:
    """How a run stands, without a look at its rounds."""

    id: RunId
    name: str
    status: str
    task: str
    branch: str
    generation: int
    round: int
    """The last closed one."""
    updated_at: datetime


class Tail:
    """The part of the state that tells what is new in all of the lab.

    Args:
        database: To read it.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def newest(self) -> Cursor:
        """Where somebody stands who has heard of everything."""
        with self._database.reading() as connection:
            return self._newest(connection)

    def happened(self, after: Cursor) -> list[Happened]:
        """The next things that were made durable after a cursor; none if there are none.

        Rounds and operations each in their own order, and mixed by the time that they tell.
        """
        with self._database.reading() as connection:
            if self._newest(connection) == after:
                return []
            closed: list[Closing | Forgotten] = []
            closed += _closings(connection, after)
            closed += _forgotten(connection, after)
            closed.sort(key=lambda one: one.position)
            done = _operations(connection, after)
        # Past the end of a page of one kind there may be more of it: the rest waits for its turn.
        return list(_mixed(closed[:_PAGE], done, after))

    def glimpses(self, since: datetime | None = None) -> list[Glimpse]:
        """How runs stand, newest first; only those of which a row changed since, if it is said."""
        runs, heads = schema.runs, schema.heads
        names = ("id", "name", "status", "task_name", "branch", "generation")
        mine = (heads.c.run == runs.c.id) & (heads.c.branch == runs.c.branch)
        query = select(
            *(runs.c[name] for name in names), func.coalesce(heads.c.round, 0), runs.c.updated_at
        ).select_from(runs.outerjoin(heads, mine))
        query = query if since is None else query.where(runs.c.updated_at > since)
        with self._database.reading() as connection:
            rows = connection.execute(query.order_by(runs.c.created_at.desc(), runs.c.id)).all()
        return [Glimpse(*tuple(row)) for row in rows]

    def _newest(self, connection: Connection) -> Cursor:
        tables = (schema.closings, schema.forgotten, schema.operations)
        newest = [select(func.max(table.c.position)).scalar_subquery() for table in tables]
        found = connection.execute(select(*newest)).one()
        closing, forgotten, operation = (value or 0 for value in found)
        return Cursor(max(closing, forgotten), operation, self._database.lab_id)


def _closings(connection: Connection, after: Cursor) -> list[Closing]:
    return closing_rows.summaries_after(connection, after.closing, _PAGE)


def _forgotten(connection: Connection, after: Cursor) -> list[Forgotten]:
    columns = schema.forgotten.c
    query = select(schema.forgotten).where(columns.position > after.closing)
    return [Forgotten(*row) for row in connection.execute(query.order_by(columns.position))]


def _operations(connection: Connection, after: Cursor) -> list[tuple[int, Operation]]:
    table = schema.operations
    names = [field.name for field in fields(Operation)]
    query = select(table.c.position, *(table.c[name] for name in names))
    query = query.where(table.c.position > after.operation).order_by(table.c.position)
    found = []
    for position, *values in connection.execute(query.limit(_PAGE)):
        told: dict[str, Any] = dict(zip(names, values, strict=True))
        found.append((position, Operation(**told | {"details": told["details"] or {}})))
    return found


def _mixed(
    closed: Sequence[Closing | Forgotten], done: Sequence[tuple[int, Operation]], at: Cursor
) -> Iterator[Happened]:
    i = j = 0
    while i < len(closed) or j < len(done):
        if j == len(done) or (i < len(closed) and not _later(closed[i], done[j][1])):
            at = Cursor(closed[i].position, at.operation, at.lab)
            yield Happened(at, closed[i])
            i += 1
        else:
            at = Cursor(at.closing, done[j][0], at.lab)
            yield Happened(at, done[j][1])
            j += 1


def _later(closed: Closing | Forgotten, done: Operation) -> bool:
    return isinstance(closed, Closing) and closed.closed_at > done.at
