"""Everything that was measured, as DuckDB tables: a projection of the closed rounds.

It is made from the state database and from nothing else, so it can be deleted at any time. Which
closings are in it stands in a table of its own, written in the same transaction as their rows.
Only the process that holds the lab opens the file, because DuckDB lets no second process in;
others make the same tables in memory.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing as closing_after
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

import duckdb
import pyarrow as pa

from flnb.core import failpoints
from flnb.core.errors import QueryRefusedError
from flnb.store import projection, study_rows, tables_file
from flnb.store.disk import room_at
from flnb.store.own_rows import Rows
from flnb.store.records import ClientRecord, Closing, Forgotten, RunRecord
from flnb.store.select_only import select, stream
from flnb.store.table import Table
from flnb.store.tables import TABLES

_Key = tuple[str, str, int, int]
T = TypeVar("T")


class Metrics:
    """The tables of `lab.sql`, safe to use from any thread.

    Args:
        state: Where the closings come from: the whole lab, or what a guest has of it.
        path: The DuckDB file; None keeps the tables in memory.
    """

    def __init__(self, state: Rows, path: Path | None = None) -> None:
        self._state = state
        self._path = path
        self._stamp = (
            f"{state.lab_id}:{hashlib.sha256(json.dumps(projection.DDL).encode()).hexdigest()}"
        )
        self._connection: duckdb.DuckDBPyConnection | None = None
        self._done: dict[_Key, int] = {}
        self._runs: list[RunRecord] = []
        self._clients: list[ClientRecord] | None = None
        self._studies: study_rows.Stands | None = None
        self._noted = 0
        """Place of the newest operation in the tables."""
        self._taken_up = 0
        """Place of the newest closing that `take_up` has seen."""
        self._asking = threading.Lock()
        """Held by one query at a time while it looks what is new, around `_lock`."""
        self._lock = threading.RLock()

    def apply(self, closings: Sequence[Closing]) -> None:
        """Bring closings into the tables in one transaction; those that are in it stay single.

        Rounds that were taken back leave the tables first, and are not brought in.

        Args:
            closings: As `StateStore.close_round` or `StateStore.closings` returned them.

        Raises:
            StorageFullError: The disk is full; nothing was written.
        """
        with self._lock:
            self._open()
            taken_back = self._state.forgotten()
            gone = {key for key, at in self._done.items() if _covered(taken_back, key, at)}
            known = {key: at for key, at in self._done.items() if key not in gone}
            closings = [
                each for each in closings if not _covered(taken_back, each.key, each.position)
            ]
            new = list({each.key: each for each in closings if each.key not in known}.values())
            moved = [
                each for each in closings if known.get(each.key, each.position) < each.position
            ]
            if not new and not moved and not gone:
                return
            with self._writing() as cursor:
                names = self._names(
                    cursor, {each.run for each in closings} | {run for run, *_ in gone}
                )
                for key in gone:
                    projection.delete(cursor, key, names[key[0]])
                if new:
                    projection.insert(cursor, new, names)
                for each in moved:
                    projection.name_snapshot(cursor, each, names[each.run])
                failpoints.reach("in-projection")
                cursor.execute("COMMIT")
            self._done = known | {each.key: each.position for each in (*new, *moved)}

    def catch_up(self) -> int:
        """Bring in every closing that is not in the tables; returns how many there were.

        Raises:
            StorageFullError: The disk is full; what was brought in stays.
        """
        return self._mended(self._catch_up)

    def _catch_up(self) -> int:
        with self._lock:
            self.apply([])  # what was taken back leaves the tables, even if nothing follows
            missing = set(self._state.positions()) - set(self._done.values())
            if missing:
                late = self._state.closings(after=min(missing) - 1)
                for batch in projection.batches(each for each in late if each.position in missing):
                    self.apply(batch)
        return len(missing)

    def take_up(self) -> int:
        """Bring in what others have closed since the last time; returns how many were looked at.

        Costs what is new and not what is there; `catch_up` finds also what was missed.

        Raises:
            StorageFullError: The disk is full; what was brought in stays.
        """
        with self._lock:
            if not self._taken_up:
                count = self._mended(self._catch_up)
                self._taken_up = max(self._done.values(), default=0)
                return count
            count = 0
            for batch in projection.batches(self._state.closings(after=self._taken_up)):
                self.apply(batch)
                self._taken_up, count = batch[-1].position, count + len(batch)
        return count

    def query(self, sql: str, *, rows: int = 10_000, timeout_s: float = 5.0) -> Table:
        """Answer one SELECT over the tables.

        Args:
            sql: Exactly one SELECT statement.
            rows: Refuse an answer with more rows.
            timeout_s: Refuse to work on it any longer.

        Raises:
            QueryRefusedError: Not one read-only SELECT, or over a limit; says which.
        """
        return self._answer(
            lambda cursor: Table(select(cursor, sql, rows=rows, timeout_s=timeout_s))
        )

    def stream(self, sql: str, take: Callable[[pa.RecordBatchReader], T], *, timeout_s: float) -> T:
        """Hand the answer to one SELECT on piece by piece, whatever its size.

        Args:
            sql: Exactly one SELECT statement.
            take: Gets the batches; once more from the first one if the tables were damaged.
            timeout_s: Refuse to work on it any longer.

        Raises:
            QueryRefusedError: Not one read-only SELECT, or over a limit; says which.
        """
        return self._answer(lambda cursor: stream(cursor, sql, take, timeout_s=timeout_s))

    def _answer(self, work: Callable[[duckdb.DuckDBPyConnection], T]) -> T:
        """Ask the tables, and once more if they were damaged and are made anew."""
        try:
            with closing_after(self._mended(self._reading)) as cursor:
                return work(cursor)
        except duckdb.Error as error:
            if not tables_file.means_damage(error):
                raise
            if not self._made_anew_if_damaged():
                raise QueryRefusedError(f"DuckDB cannot answer this: {error}") from error
        with closing_after(self._reading()) as cursor:
            return work(cursor)

    def rebuild(self) -> None:
        """Make all tables again from the state database; a file is set aside."""
        with self._lock:
            self.close()
            tables_file.set_aside(self._path)
            self._catch_up()

    def close(self) -> None:
        """Close the file; the next call opens it again."""
        with self._lock:
            if self._connection is not None:
                # While somebody's query goes on DuckDB says so, and closes it all the same.
                with suppress(duckdb.ResourceInUseException):
                    self._connection.close()
            self._connection = None

    def _mended(self, work: Callable[[], T]) -> T:
        """Do something, and once more with a new file if the present one is damaged."""
        try:
            return work()
        except duckdb.Error as error:
            if not tables_file.means_damage(error):
                raise
        self.rebuild()
        return work()

    def _made_anew_if_damaged(self) -> bool:
        """Read the tables whole, because what a query raises proves nothing about the file."""
        with self._lock:
            self.close()  # a fatal error leaves a connection that answers nothing any more
            try:
                late = self._catch_up()  # everything, if opening found the damage
                with closing_after(self._open().cursor()) as cursor:
                    for spec in TABLES:
                        cursor.execute(f"SELECT bit_xor(hash(t)) FROM {spec.name} t")  # noqa: S608  # our own table names
                        cursor.fetchall()
            except duckdb.Error as error:
                if not tables_file.means_damage(error):
                    raise
                self.rebuild()
                return True
        return late > 0 and self._path is not None

    def _reading(self) -> duckdb.DuckDBPyConnection:
        """A cursor for one query, with runs, studies, clients and operations as they are now."""
        with self._asking:
            runs = self._state.runs()
            # Cells of large studies take seconds to read, in which rounds are closed.
            studies = study_rows.changed(self._state, runs, self._studies)
            with self._lock:
                connection = self._open()
                if studies.before is not self._studies:  # the file was opened anew
                    studies = study_rows.changed(self._state, runs, self._studies)
                clients, operations = (
                    self._state.clients(),
                    self._state.operations_after(self._noted),
                )
                present = runs, clients
                if operations or studies.is_any or present != (self._runs, self._clients):
                    with self._writing() as cursor:
                        self._put_runs(cursor)
                        projection.replace(cursor, "clients", projection.client_table(clients))
                        noted = projection.operation_table(operations, self._runs)
                        projection.append(cursor, "operations", noted)
                        studies.write(cursor)
                        cursor.execute("COMMIT")
                    self._clients, self._studies = clients, studies.stands
                    self._noted = max(self._noted, *(place for place, _ in operations), 0)
                return connection.cursor()

    def _names(self, cursor: duckdb.DuckDBPyConnection, needed: set[str]) -> dict[str, str]:
        """Identity to name of the runs; the table of runs is made anew if one is not in it."""
        if not needed <= {run.id for run in self._runs}:
            self._put_runs(cursor)
        return {run.id: run.trunk_name for run in self._runs}

    def _put_runs(self, cursor: duckdb.DuckDBPyConnection) -> None:
        self._runs = self._state.runs()
        projection.replace(cursor, "runs", projection.run_table(self._runs))

    @contextmanager
    def _writing(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A cursor in a transaction, which is lost unless the body commits it."""
        where = self._path or Path()
        with room_at(where, duckdb.Error), closing_after(self._open().cursor()) as cursor:
            cursor.execute("BEGIN TRANSACTION")
            try:
                yield cursor
            except BaseException as error:
                self._runs = []
                if isinstance(error, duckdb.FatalException):
                    self.close()  # a full disk at a checkpoint: it answers nothing any more
                raise

    def _open(self) -> duckdb.DuckDBPyConnection:
        if self._connection is None:
            try:
                with room_at(self._path or Path(), duckdb.Error):
                    self._connection = self._connect()
            except duckdb.Error as error:
                tables_file.check_openable(self._path, error)
                tables_file.set_aside(self._path)
                self._connection = self._connect()
        return self._connection

    def _connect(self) -> duckdb.DuckDBPyConnection:
        connection = tables_file.connect(self._path, self._stamp)
        with closing_after(connection.cursor()) as cursor:
            rows = cursor.execute("SELECT * FROM flnb.done").fetchall()
            newest = cursor.execute("SELECT max(position) FROM operations").fetchone()
        self._done = {tuple(key): position for *key, position in rows}
        self._runs, self._clients, self._studies = [], None, None
        self._noted = (newest[0] or 0) if newest else 0
        return connection


def _covered(taken_back: Iterable[Forgotten], key: _Key, position: int) -> bool:
    return any(each.covers(key, position) for each in taken_back)
