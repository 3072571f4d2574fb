"""What branches stand on: the lines that lead to their heads, and what leaves one when it is moved."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from sqlalchemy import Connection, select

from flnb.core import Clock, RunId, Status
from flnb.core.errors import NotFoundError, RoundStateError
from flnb.store import closing_rows, name_rows, schema
from flnb.store.database import Database
from flnb.store.lineage import Generation, Line, RoundKey, Segment
from flnb.store.records import Named, RunRecord

_generations, _runs = schema.generations, schema.runs


class Leaving(NamedTuple):
    """A round that a move of the head would take off the line."""

    round: int
    bytes_up: int
    seconds_s: float


class Stretch(NamedTuple):
    """Rounds of one generation of a branch that lie on a line, in the words of `lab.sql`."""

    branch: str
    generation: int
    after: int
    """The number of the round before its first one."""
    last: int | None
    """None where it goes on."""


class Lines:
    """The part of the state that says which rounds lead where; nothing is moved here."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock

    def line(self, run: RunId) -> Line:
        """The rounds that lead to the head of a branch.

        Raises:
            NotFoundError: There is no such run.
        """
        with self._database.reading() as connection:
            return line(connection, run)

    def blocking(self, run: RunId, base: RoundKey | None) -> list[Named]:
        """Aliases of rounds that a move of the head to this base would take off the line.

        Raises:
            NotFoundError: There is no such run.
        """
        with self._database.reading() as connection:
            return blocking(connection, record_of(connection, run), base)

    def rows_of_line(self, run: RunId) -> str:
        """An SQL condition for the rows of `lab.sql` that lead to the head of a branch.

        Raises:
            NotFoundError: There is no such run.
        """
        with self._database.reading() as connection:
            record, present = record_of(connection, run), line(connection, run)
            rows = connection.execute(select(_runs.c.id, _runs.c.branch))
            branches = {row.id: row.branch for row in rows}
        mine = (
            f"(branch = '{branches[one.run]}' AND generation = {one.generation} "
            f"AND round > {one.after}" + (")" if one.last is None else f" AND round <= {one.last})")
            for one in present.segments
        )
        # Names of runs and branches are checked when they are made: no sign of them ends a string.
        return f"run = '{record.trunk_name}' AND ({' OR '.join(mine)})"

    def stretches(self, names: Collection[str]) -> dict[str, list[Stretch]]:
        """Where in the tables of `lab.sql` the rows lie that lead to the heads of branches.

        Args:
            names: Of the branches, as many as one likes: no row is read for each of them.

        Returns:
            Name to stretches, oldest first; a branch that is not there is left out.
        """
        with self._database.reading() as connection:
            known = _all_generations(connection)
            runs = _runs.c
            rows = connection.execute(
                select(runs.id, runs.name, runs.branch, runs.generation)
            ).all()
        branches, wanted = {row.id: row.branch for row in rows}, set(names)
        return {
            row.name: [
                Stretch(branches[one.run], one.generation, one.after, one.last)
                for one in Line.of(row.id, row.generation, known).segments
            ]
            for row in rows
            if row.name in wanted
        }

    def line_of(self, key: RoundKey) -> Line:
        """The rounds that led to a round, also of a head that was left behind."""
        with self._database.reading() as connection:
            return walk(connection, key.run, key.generation)

    def generations(self, run: RunId | None = None) -> list[Generation]:
        """Generations of one branch or of all that were begun by a fork or a roll back."""
        query = select(_generations).order_by(_generations.c.at, _generations.c.run)
        query = query if run is None else query.where(_generations.c.run == run)
        with self._database.reading() as connection:
            return [Generation.of(row) for row in connection.execute(query)]

    def commit_at(self, key: RoundKey) -> RoundKey | None:
        """The last committed round that led to a round, itself included; None if there is none."""
        with self._database.reading() as connection:
            return commit_at(connection, key)

    def leaving(self, run: RunId, base: RoundKey | None) -> list[Leaving]:
        """Rounds that a move of the head to this base would take off the line, in order.

        Raises:
            NotFoundError: There is no such run.
        """
        with self._database.reading() as connection:
            target = walk(connection, base.run, base.generation) if base else None
            return [
                Leaving(row.round, row.bytes_up, row.seconds_s)
                for segment in line(connection, run).segments
                for row in closing_rows.costs(connection, segment, _stays(segment, base, target))
            ]


def check_there(connection: Connection, record: RunRecord, key: RoundKey | None) -> None:
    """Refuse a round that has no commit, or is of another run than a branch.

    Raises:
        RoundStateError: Its commit has expired.
        NotFoundError: It never had one, or is of another run.
    """
    if key is None:
        return
    snapshot, expired = closing_rows.commit_of(connection, key)
    hint = "run.history.df() shows the others"
    if snapshot is None and expired:
        raise RoundStateError(f"the commit of round {key.round} has expired", hint=hint)
    of_this_run = record_of(connection, key.run).trunk_name == record.trunk_name
    if snapshot is None or not of_this_run:
        error = NotFoundError(f"commit of {record.trunk_name} in round", key.round)
        error.hint = hint
        raise error


def leads_to(base: RoundKey | None, line_of_base: Line | None, key: RoundKey) -> bool:
    """Whether a round is on the line of a base, and so stays when a head moves there."""
    if base is None or line_of_base is None:
        return False
    return key in line_of_base and key.round <= base.round


def _stays(segment: Segment, base: RoundKey | None, target: Line | None) -> int:
    """The last round of a segment that stays on the line when the head moves to a base."""
    found = segment.after
    if base is None or target is None:
        return found
    for one in target.segments:
        if (one.run, one.generation) == (segment.run, segment.generation):
            found = max(found, base.round if one.last is None else min(one.last, base.round))
    return found


def line(connection: Connection, run: RunId) -> Line:
    """The rounds that lead to the head of a branch, inside somebody's transaction."""
    return walk(connection, run, record_of(connection, run).generation)


def blocking(connection: Connection, record: RunRecord, base: RoundKey | None) -> list[Named]:
    """Aliases of rounds that a move of the head would take off the line, in somebody's transaction."""
    present = walk(connection, record.id, record.generation)
    target = walk(connection, base.run, base.generation) if base else None
    newest = {one.name: one for one in name_rows.names_of(connection, record.trunk_name)}
    return [
        one
        for one in newest.values()
        if one.kind == name_rows.ALIAS
        and one.key in present
        and not leads_to(base, target, one.key)
    ]


def walk(connection: Connection, run: RunId, generation: int) -> Line:
    """The rounds that lead to the newest of a generation, inside somebody's transaction."""
    return Line.of(run, generation, _all_generations(connection))


def _all_generations(connection: Connection) -> dict[tuple[RunId, int], Generation]:
    """Rows of all branches: a fork's base may be on any of them."""
    rows = connection.execute(select(_generations))
    return {(row.run, row.generation): row for row in map(Generation.of, rows)}


def line_to(connection: Connection, key: RoundKey) -> Line:
    """The rounds that led to a round, and none after it, inside somebody's transaction."""
    return walk(connection, key.run, key.generation).up_to(key.round)


def record_of(connection: Connection, run: RunId) -> RunRecord:
    """A branch's row.

    Raises:
        NotFoundError: There is no such run.
    """
    row = connection.execute(select(_runs).where(_runs.c.id == run)).first()
    if row is None:
        raise NotFoundError("run", run)
    return RunRecord(**{**row._mapping, "status": Status(row.status)})


def commit_at(connection: Connection, key: RoundKey) -> RoundKey | None:
    """The last commit that led to a round, its own included, inside somebody's transaction."""
    for segment in reversed(line_to(connection, key).segments):
        if (closing := closing_rows.last_commit(connection, segment)) is not None:
            return closing.round_key
    return None
