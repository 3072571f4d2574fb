"""The state of a lab: runs, closed rounds, the journal of the open one. The only commit point.

What the closing transaction does not name never happened: a snapshot in history without a closing
is an orphan, and every projection is made from closings. Methods block, may be called from any
thread, and are each one transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, fields, replace
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import insert, select

from flnb.core import SYSTEM_CLOCK, Clock, RunId, failpoints
from flnb.core.errors import LabLostError
from flnb.store import closing_rows, course, lines, schema
from flnb.store.again import Again
from flnb.store.attempts import Attempts
from flnb.store.changes import WhenChanged
from flnb.store.course import Course
from flnb.store.database import Database
from flnb.store.epochs import Epochs
from flnb.store.expiry import Expiry
from flnb.store.generations import Generations
from flnb.store.guest_rows import GuestRows
from flnb.store.lineage import RoundKey
from flnb.store.names import Names
from flnb.store.pages import Pages
from flnb.store.quarantines import Quarantines
from flnb.store.records import Closing, Forgotten, Head, JournalRecord
from flnb.store.registry import Registry
from flnb.store.requests import Requests
from flnb.store.runs import Runs
from flnb.store.sqlite import SqliteDatabase
from flnb.store.stays import Stays
from flnb.store.studies import Studies
from flnb.store.tail import Tail
from flnb.store.tokens import Tokens
from flnb.store.whose import OWN

Found = TypeVar("Found")


class StateStore(
    Runs,
    Requests,
    Registry,
    Tokens,
    Generations,
    Names,
    Expiry,
    Epochs,
    Tail,
    Pages,
    Quarantines,
    Studies,
    GuestRows,
    Stays,
    Attempts,
    Again,
):
    """The state database of a lab.

    Every method that writes raises `StorageFullError` when the disk is full, and nothing is written
    then. On a shared lab it raises `LabLostError` once another process has taken the lab over, and
    every method `StorageUnreachableError` when the database does not answer.

    Args:
        where: The SQLite file, or the address of a PostgreSQL database.
        clock: Where the times of records come from that the store makes itself.
        create: Make the file if it is not there.
        address: Where the commits lie, of a lab whose state is in PostgreSQL.

    Raises:
        NotFoundError: There is no such file and none may be created.
        LabVersionError: It was written by a newer flnb.
        StoreError: The file or the database is something else, or refuses.
    """

    def __init__(
        self,
        where: Path | str,
        *,
        clock: Clock = SYSTEM_CLOCK,
        create: bool = True,
        address: str = "",
    ) -> None:
        database = _opened(where, clock, create=create, address=address)
        super().__init__(database, clock)  # the same for every part

    @property
    def lab_id(self) -> str:
        """Identity of the lab, made with it."""
        return self._database.lab_id

    def problem(self) -> str:
        """What is wrong with the file; empty when it is sound."""
        return self._database.problem()

    def at_one_moment(self) -> AbstractContextManager[None]:
        """Let all that this thread reads meanwhile be of one moment; see `Database.at_one_moment`."""
        return self._database.at_one_moment()

    @property
    def shared(self) -> bool:
        """Whether several machines may open it."""
        return self._database.shared

    @property
    def lost(self) -> LabLostError | None:
        """That another process took the lab over from this one, as far as is known here."""
        return self._database.lost

    def shared_secret(self) -> bytes:
        """The secret of a shared lab; empty where it lies in a file."""
        return self._database.secret()

    def when_changed(self, read: Callable[[], Found]) -> WhenChanged[Found]:
        """Make a reading that costs next to nothing while nobody writes.

        Args:
            read: A method of this store that reads.
        """
        return WhenChanged(self._database.version, read)

    def close(self) -> None:
        """Close the database; the next call opens it again."""
        self._database.close()

    # --- the open round -------------------------------------------------------------------------

    def journal(
        self, run: RunId, round_: int, attempt: int, kind: str, payload: Mapping[str, Any]
    ) -> None:
        """Write a step of the open round before its effect is relied on."""
        self.journal_all([JournalRecord(run, round_, attempt, kind, payload)])

    def journal_all(self, records: Sequence[JournalRecord]) -> None:
        """Write several steps in one transaction: all of them or none."""
        rows = [asdict(record) for record in records]
        of = records[0].run if records else OWN
        with self._database.writing(of=of) as connection:
            if rows:
                connection.execute(insert(schema.journal), rows)

    def journal_of_open_round(self, run: RunId) -> list[JournalRecord]:
        """Steps of the round that has not been closed, in order; empty between rounds."""
        table = schema.journal
        columns = [table.c[field.name] for field in fields(JournalRecord)]
        query = select(*columns).where(table.c.run == run).order_by(table.c.position)
        with self._database.reading() as connection:
            return [JournalRecord(*row) for row in connection.execute(query)]

    # --- closed rounds --------------------------------------------------------------------------

    def close_round(self, closing: Closing) -> Closing:
        """Close a round: THE transaction after which the round has happened.

        It writes the closing, moves the head and forgets the journal of the round. A round that
        is closed already stays as it is, but for a snapshot that it did not have: after a crash
        the rounds since the last commit are done again, by other clients perhaps; see `Again`.

        Returns:
            The closing with its position.

        Raises:
            ValueError: A column that its table does not have, or columns of different lengths.
        """
        row = closing_rows.to_row(closing)
        with self._database.writing(of=closing.run) as connection:
            position = closing_rows.write(connection, closing, row)
            closing_rows.move_head(connection, closing)
            closing_rows.forget_journal(connection, closing.run, closing.round)
            failpoints.reach("in-closing")
        failpoints.reach("after-closing")
        return replace(closing, position=position)

    def closing(self, run: RunId, round_: int) -> Closing | None:
        """One closed round that leads to the head of a run's branch, None if it has not closed."""
        with self._database.reading() as connection:
            present = lines.line(connection, run)
            return closing_rows.find(connection, present.key(round_)) if round_ > 0 else None

    def closings(self, run: RunId | None = None, *, after: int = 0) -> Iterator[Closing]:
        """Closed rounds of a run or of all runs, by position.

        A closing that gets its snapshot later gets a new position then, and comes once more.

        Args:
            run: Only this run.
            after: Only closings with a higher position.
        """
        return self._pages(run, after)

    def summaries(self, run: RunId, *, after: int = 0) -> list[Closing]:
        """Closed rounds that lead to the head of a run's branch, quick however many the clients.

        Their counts and metrics are there; assignments, updates and events are left out.

        Args:
            run: The branch.
            after: Only closings with a higher position.
        """
        with self._database.reading() as connection:
            present = lines.line(connection, run)
            return list(closing_rows.of_line(connection, present, after=after))

    def course(self, run: RunId, newest: int) -> Course:
        """What was measured in all rounds that lead to the head of a run's branch.

        Args:
            run: The branch.
            newest: Of so many rounds, the last ones, all of a summary is read.
        """
        with self._database.reading() as connection:
            return course.read(connection, lines.line(connection, run), newest)

    def rounds_of(self, runs: Sequence[RunId]) -> list[tuple[RoundKey, str | None, datetime]]:
        """Every closed round of some branches, on a line or not, in order of closing.

        Returns:
            Its key, the snapshot of its commit if it has one, and when it closed.
        """
        table = schema.closings.c
        query = select(table.run, table.generation, table.round, table.snapshot, table.closed_at)
        query = query.where(table.run.in_(runs)).order_by(table.position)
        with self._database.reading() as connection:
            rows = connection.execute(query).all()
        return [(RoundKey(*row[:3]), row.snapshot, row.closed_at) for row in rows]

    def closing_of(self, key: RoundKey) -> Closing | None:
        """One closed round, also one that no line leads to any more."""
        with self._database.reading() as connection:
            return closing_rows.find(connection, key)

    def forgotten(self) -> list[Forgotten]:
        """What was taken back of closed rounds, by position."""
        table = schema.forgotten
        with self._database.reading() as connection:
            rows = connection.execute(select(table).order_by(table.c.position))
            return [Forgotten(*row) for row in rows]

    def _pages(self, run: RunId | None, after: int = 0) -> Iterator[Closing]:
        while True:
            with self._database.reading() as connection:
                page = closing_rows.page(connection, run, after)
            if not page:
                return
            yield from page
            after = page[-1].position

    def positions(self, runs: Sequence[RunId] | None = None) -> list[int]:
        """Positions of all closings, or of those of some branches, rising."""
        table = schema.closings.c
        query = select(table.position).order_by(table.position)
        query = query if runs is None else query.where(table.run.in_(runs))
        with self._database.reading() as connection:
            return list(connection.scalars(query))

    def head(self, run: RunId) -> Head:
        """How far a run has come on its branch.

        Raises:
            NotFoundError: There is no such run.
        """
        with self._database.reading() as connection:
            return closing_rows.head(connection, lines.line(connection, run))


def _opened(where: Path | str, clock: Clock, *, create: bool, address: str) -> Database:
    if isinstance(where, Path):
        return SqliteDatabase(where, clock, create=create)
    from flnb.store.postgres import PostgresDatabase  # a lab in a folder needs none of it

    return PostgresDatabase(where, address, clock, create=create)
