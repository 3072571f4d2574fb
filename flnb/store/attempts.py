"""Attempts of rounds that found too few usable updates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Row, select

from flnb.core import Clock, RunId
from flnb.store import closing_rows, schema
from flnb.store.database import Database, upsert
from flnb.store.records import FailedAttempt


class Attempts:
    """The part of the state that knows which rounds were tried in vain."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock

    def record_attempt(
        self,
        run: RunId,
        round_: int,
        attempt: int,
        counts: Mapping[str, int],
        reasons: Mapping[int, str] | None = None,
    ) -> None:
        """Write that an attempt found too few updates, and forget its journal; once if repeated.

        Args:
            run: Whose round.
            round_: Its number.
            attempt: The attempt, from 0.
            counts: Outcome to number of clients.
            reasons: Row of the cohort to why its update was not used.
        """
        row = {"run": run, "round": round_, "attempt": attempt, "ended_at": self._clock.now()}
        row |= {"counts": dict(counts), "reasons": dict(reasons or {})}
        generation = select(schema.runs.c.generation).where(schema.runs.c.id == run)
        with self._database.writing(of=run) as connection:
            row["generation"] = connection.scalar(generation)
            connection.execute(upsert(connection, schema.attempts).on_conflict_do_nothing(), row)
            closing_rows.forget_journal(connection, run, round_, attempt)

    def attempts(self, run: RunId) -> list[FailedAttempt]:
        """Failed attempts of a run since it was last rolled back, by round and attempt."""
        table, runs = schema.attempts, schema.runs.c
        query = select(table).join(schema.runs, runs.generation == table.c.generation)
        query = query.where(table.c.run == run, runs.id == run)
        with self._database.reading() as connection:
            rows = connection.execute(query.order_by(table.c.round, table.c.attempt)).all()
        return [_failed_attempt(row) for row in rows]

    def failed_attempts(self, run: RunId) -> dict[int, int]:
        """Round to how many attempts of it failed, for rounds where one did."""
        return {failed.round: failed.attempt + 1 for failed in self.attempts(run)}


def _failed_attempt(row: Row[Any]) -> FailedAttempt:
    reasons = {int(number): reason for number, reason in row.reasons.items()}
    return FailedAttempt(**{**row._mapping, "reasons": reasons})
