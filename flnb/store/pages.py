"""Pages of what only grows: closed rounds and operations, the newest first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, func, select

from flnb.core import Clock, RunId
from flnb.store import closing_rows, schema
from flnb.store.database import Database
from flnb.store.lineage import RoundKey
from flnb.store.lines import line
from flnb.store.records import Closing, RunRecord


@dataclass(frozen=True, slots=True)
class Page:
    """Which part of a list."""

    limit: int
    offset: int = 0


class Pages:
    """The part of the state that lists what only grows."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock

    def rounds_page(
        self, page: Page, run: RunRecord | None = None, *, committed: bool = False
    ) -> tuple[list[Closing], int]:
        """Closed rounds without what grows with the number of clients, and how many there are.

        Args:
            page: Which of them.
            run: Only those of this branch, by number; those of all branches go by when they were
                written last.
            committed: Only those that have a commit.
        """
        columns = schema.closings.c
        wanted, order = closing_rows.summary_query(), [columns.position.desc()]
        if run is not None:
            wanted = wanted.where(columns.run == run.id, columns.branch == run.branch)
            order = [columns.generation.desc(), columns.round.desc()]
        if committed:
            wanted = wanted.where(columns.snapshot.is_not(None))
        rows, total = self._page(wanted, order, page)
        return [closing_rows.from_row(row) for row in rows], total

    def operations_page(
        self,
        page: Page,
        *,
        run: RunId | None = None,
        actor: str = "",
        verb: str = "",
    ) -> tuple[list[dict[str, Any]], int]:
        """Operations with their places in the log, the newest first, and how many there are.

        Args:
            page: Which of them.
            run: Only of this branch.
            actor: Only by whom.
            verb: Only what.
        """
        columns = schema.operations.c
        names = ("position", "at", "actor", "verb", "run", "reason", "details")
        wanted = select(*(columns[name] for name in names))
        for column, value in ((columns.run, run), (columns.actor, actor), (columns.verb, verb)):
            wanted = wanted.where(column == value) if value else wanted
        rows, total = self._page(wanted, [columns.position.desc()], page)
        return [dict(row._mapping) for row in rows], total

    def latest(self, runs: Sequence[RunId]) -> dict[RunId, Closing]:
        """The last closed round of each of these branches that has one."""
        heads, closings = schema.heads.c, schema.closings.c
        found = {}
        with self._database.reading() as connection:
            query = select(heads.run, heads.generation, heads.round).where(heads.run.in_(runs))
            for row in connection.execute(query):
                key = line(connection, row.run).key(row.round) if row.round else None
                of_key = closing_rows.summary_query().where(
                    closings.run == (key.run if key else ""),
                    closings.generation == (key.generation if key else 0),
                    closings.round == (key.round if key else 0),
                )
                if (closing := connection.execute(of_key).first()) is not None:
                    found[RunId(row.run)] = closing_rows.from_row(closing)
        return found

    def leading(self, keys: Sequence[RoundKey]) -> Mapping[RoundKey, bool]:
        """Of some closed rounds, whether each leads to the head of its own branch."""
        with self._database.reading() as connection:
            lines = {run: line(connection, run) for run in {key.run for key in keys}}
        return {key: key in lines[key.run] for key in keys}

    def _page(self, wanted: Select[Any], order: Sequence[Any], page: Page) -> tuple[list[Any], int]:
        count = select(func.count()).select_from(
            wanted.with_only_columns(wanted.selected_columns[0]).subquery()
        )
        part = wanted.order_by(*order).limit(page.limit).offset(page.offset)
        with self._database.reading() as connection:
            total = connection.scalar(count)
            return list(connection.execute(part)), int(total or 0)
