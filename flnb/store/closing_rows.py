"""Closed rounds as rows of the state database: the statements of the closing transaction."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    and_,
    case,
    delete,
    func,
    insert,
    select,
    update,
)

from flnb.store import schema
from flnb.store.columns import StoredColumns, encode, to_table
from flnb.store.database import upsert
from flnb.store.lineage import Line, RoundKey, Segment
from flnb.store.records import Closing, Head
from flnb.store.tables import BODIES

_table = schema.closings
_PAGE = 64
"""Closings read at a time: a reader must not keep the log of the database from shrinking."""
_SUMMARY = [
    column for column in _table.c if column.name not in {"assignments", "updates", "events"}
]
"""What does not grow with the number of clients."""
_COLUMNS = {len(some): [one.name for one in some] for some in (list(_table.c), _SUMMARY)}
"""Number of columns to their names."""
_names = [field.name for field in fields(Closing) if field.name != "position"]


def to_row(closing: Closing) -> dict[str, Any]:
    """Make the row of a closing, its columns as one Arrow blob for each table."""
    row = {name: getattr(closing, name) for name in _names}
    for spec in BODIES:
        row[spec.name] = encode(to_table(row[spec.name], spec, {"attempt": closing.attempt}))
    return row


def from_row(row: Row[Any]) -> Closing:
    """Read a closing, with all its columns or those of a summary."""
    # By place: a mapping of the row's own takes five times as long.
    values = dict(zip(_COLUMNS[len(row)], row, strict=True))
    return Closing(
        **values | {spec.name: StoredColumns(values.get(spec.name), spec) for spec in BODIES}
    )


def write(connection: Connection, closing: Closing, row: dict[str, Any]) -> int:
    """Insert a closing, or fill in the snapshot of one that has none; returns its position."""
    key = _is_key(RoundKey(closing.run, closing.generation, closing.round))
    stored = connection.execute(select(_table.c.position, _table.c.snapshot).where(key)).first()
    if stored is not None and (closing.snapshot is None or stored.snapshot is not None):
        return int(stored.position)
    position = _next_position(connection)
    if stored is None:
        connection.execute(insert(_table), row | {"position": position})
    else:
        of_commit = ("snapshot", "parameters_sha256", "sums", "expired")
        change = {name: row[name] for name in of_commit}
        connection.execute(update(_table).where(key).values(position=position, **change))
    return position


def expire(connection: Connection, key: RoundKey, note: dict[str, Any]) -> str | None:
    """Take the commit from a round, and write why; returns the commit, None if it had none.

    It gets a new position, so that whoever follows the closings hears of it.
    """
    query = select(_table.c.snapshot).where(_is_key(key), _table.c.snapshot.is_not(None))
    snapshot = connection.scalar(query)
    if snapshot is not None:
        gone = {"snapshot": None, "expired": note | {"commit": snapshot}}
        change = gone | {"position": _next_position(connection)}
        connection.execute(update(_table).where(_is_key(key)).values(change))
    return snapshot


def commit_of(connection: Connection, key: RoundKey) -> tuple[str | None, bool]:
    """The commit of a round, None if it has none; and whether one was let go."""
    query = select(_table.c.snapshot, _table.c.expired).where(_is_key(key))
    row = connection.execute(query).first()
    return (None, False) if row is None else (row.snapshot, row.expired is not None)


def page(connection: Connection, run: str | None, after: int) -> list[Closing]:
    """The next closings of a run, or of all, after a position."""
    query = select(_table).where(_table.c.position > after)
    query = query if run is None else query.where(_table.c.run == run)
    rows = connection.execute(query.order_by(_table.c.position).limit(_PAGE))
    return [from_row(row) for row in rows]


def summaries_after(connection: Connection, after: int, most: int) -> list[Closing]:
    """The next closings of all runs after a position, without what grows with the number of clients."""
    query = select(*_SUMMARY).where(_table.c.position > after).order_by(_table.c.position)
    return [from_row(row) for row in connection.execute(query.limit(most))]


def summary_query() -> Select[Any]:
    """Closings without what grows with the number of clients; `from_row` reads what it finds."""
    return select(*_SUMMARY)


def find(connection: Connection, key: RoundKey) -> Closing | None:
    """The closing of one round of one generation."""
    row = connection.execute(select(_table).where(_is_key(key))).first()
    return None if row is None else from_row(row)


def move_head(connection: Connection, closing: Closing) -> None:
    """Let the head of the branch point at this round, unless it is further on already."""
    row = {"run": closing.run, "branch": closing.branch, "generation": closing.generation}
    row |= {"round": closing.round, "snapshot_round": closing.round if closing.snapshot else None}
    statement = upsert(connection, schema.heads).values(row)
    old, new = schema.heads.c, statement.excluded
    further = {name: _larger(old[name], new[name]) for name in ("round", "snapshot_round")}
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["run", "branch"],
            set_=further,
            where=old.generation == new.generation,  # a round that comes late moves no newer head
        )
    )


def head(connection: Connection, line: Line) -> Head:
    """How far the branch of a line has come, and the last commit on its way there."""
    heads = schema.heads
    found = connection.scalar(select(heads.c.round).where(heads.c.run == line.newest.run))
    for segment in reversed(line.segments):
        if (closing := last_commit(connection, segment)) is not None:
            return Head(found or 0, closing)
    return Head(found or 0, None)


def last_commit(connection: Connection, segment: Segment) -> Closing | None:
    """The last round of a segment that has a commit."""
    query = select(_table).where(of_segment(segment), _table.c.snapshot.is_not(None))
    row = connection.execute(query.order_by(_table.c.round.desc()).limit(1)).first()
    return None if row is None else from_row(row)


def of_line(
    connection: Connection, line: Line, *, after: int = 0, from_round: int = 1
) -> Iterator[Closing]:
    """Closings of a line by round, without what grows with the number of clients.

    Args:
        connection: To read them.
        line: Which.
        after: Only those with a higher position.
        from_round: Only this round and later ones.
    """
    for segment in line.segments:
        columns = _table.c
        wanted = and_(of_segment(segment), columns.position > after, columns.round >= from_round)
        query = select(*_SUMMARY).where(wanted).order_by(_table.c.round)
        yield from map(from_row, connection.execute(query))


def costs(connection: Connection, segment: Segment, after: int) -> Iterator[Row[Any]]:
    """Later rounds of a segment: number, bytes that were sent up, seconds that it took."""
    columns = _table.c
    query = select(columns.round, columns.bytes_up, columns.seconds_s).order_by(columns.round)
    return iter(connection.execute(query.where(of_segment(segment), columns.round > after)))


def of_segment(segment: Segment) -> ColumnElement[bool]:
    """Whether a closing belongs to a segment."""
    columns = _table.c
    mine = and_(_of_generation(segment.run, segment.generation), columns.round > segment.after)
    return mine if segment.last is None else and_(mine, columns.round <= segment.last)


def forget(connection: Connection, run: Row[Any], after: int) -> None:
    """Take back the closings of later rounds, and what the journal has of them.

    Raises:
        ValueError: One of them names a commit.
    """
    journal = schema.journal.c
    connection.execute(delete(schema.journal).where(journal.run == run.id, journal.round > after))
    take_back(connection, (run.id, run.branch, run.generation), after)


def take_back(connection: Connection, of_run: tuple[str, str, int], after: int) -> None:
    """Take back the closings of later rounds, and note it for those who follow the closings.

    Args:
        connection: The transaction.
        of_run: Run, branch and generation of the rounds.
        after: The last round that stays.

    Raises:
        ValueError: One of them names a commit.
    """
    run, branch, generation = of_run
    heads, columns = schema.heads, _table.c
    position = _next_position(connection)  # before the last one may be gone
    mine = and_(columns.run == run, columns.branch == branch, columns.generation == generation)
    later = and_(mine, columns.round > after)
    if connection.execute(
        select(columns.round).where(later, columns.snapshot.is_not(None))
    ).first():
        raise ValueError(f"a round after {after} of run {run} is committed: it stays")
    if not connection.execute(delete(_table).where(later)).rowcount:
        return
    row = {"run": run, "branch": branch, "generation": generation, "after": after}
    connection.execute(insert(schema.forgotten), row | {"position": position})
    # Its last commit is older, so it stays what it was.
    of_branch = and_(heads.c.run == run, heads.c.branch == branch)
    connection.execute(update(heads).where(of_branch).values(round=after))


def _next_position(connection: Connection) -> int:
    """A position that no closing ever had."""
    tables = (_table, schema.forgotten)
    highest = [connection.scalar(select(func.max(table.c.position))) or 0 for table in tables]
    return 1 + max(highest)


def forget_journal(
    connection: Connection, run: str, round_: int, attempt: int | None = None
) -> None:
    """Delete the journal up to a closed round, or up to a failed attempt of one."""
    table = schema.journal
    past = table.c.round < round_
    failed = table.c.round == round_
    if attempt is not None:
        failed &= table.c.attempt <= attempt
    connection.execute(delete(table).where(table.c.run == run, past | failed))


def _is_key(key: RoundKey) -> ColumnElement[bool]:
    return and_(_of_generation(key.run, key.generation), _table.c.round == key.round)


def _of_generation(run: str, generation: int) -> ColumnElement[bool]:
    # With the branch, although the run has only one: without it the index finds all rows of the run.
    branch = select(schema.runs.c.branch).where(schema.runs.c.id == run).scalar_subquery()
    columns = _table.c
    return and_(columns.run == run, columns.branch == branch, columns.generation == generation)


def _larger(old: ColumnElement[Any], new: ColumnElement[Any]) -> ColumnElement[Any]:
    # SQLite's max(a, b) is NULL as soon as one of them is.
    return case((old.is_(None), new), (new > old, new), else_=old)
