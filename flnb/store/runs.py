"""The runs of a lab: one row each, and what it is doing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from itertools import count
from typing import Any

from sqlalchemy import Row, insert, or_, select, update

from flnb.core import Clock, RunId, Status
from flnb.core.errors import NameTakenError, NotFoundError, StoreError
from flnb.store import closing_rows, log, schema
from flnb.store.database import Database
from flnb.store.guest_rows import check_not_driven, taken_by
from flnb.store.lines import record_of
from flnb.store.records import Operation, RunRecord


class Runs:
    """The part of the state that knows every run."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock

    def create_run(self, record: RunRecord) -> None:
        """Write a new run.

        Raises:
            StoreError: The lab has a run of that name or identity already.
            NameTakenError: Its name is the identity of another run: one finds runs by either.
        """
        runs = schema.runs.c
        same = or_(runs.id.in_((record.id, record.name)), runs.name == record.name)
        with self._database.writing(of=record.id) as connection:
            row = connection.execute(select(runs.id, runs.name).where(same)).first()
            if row is not None and row.id == record.name != row.name:
                raise NameTakenError(
                    f"{row.id!r} is the identity of the run {row.name!r}",
                    hint="choose another name",
                )
            if row is not None:
                raise StoreError(
                    f"the lab has a run {record.name!r} already",
                    hint=f"choose another name, or lab.resume({record.name!r})",
                )
            connection.execute(insert(schema.runs), asdict(taken_by(self._database, record)))

    def run(self, name: str) -> RunRecord:
        """Find a run by its identity or name.

        Raises:
            NotFoundError: There is none; the nearest name is offered.
        """
        runs = schema.runs.c
        # Labs of before may have a run that is named as another one's identity, which is for ever.
        query = select(schema.runs).where(or_(runs.id == name, runs.name == name))
        with self._database.reading() as connection:
            row = connection.execute(query.order_by(runs.id != name)).first()
            if row is None:
                raise NotFoundError("run", name, connection.scalars(select(runs.name)).all())
        return _run_record(row)

    def runs(self, *, guest: str | None = None) -> list[RunRecord]:
        """All runs, newest first; or those that a guest has."""
        runs = schema.runs.c
        query = select(schema.runs).order_by(runs.created_at.desc(), runs.id)
        query = query if guest is None else query.where(runs.guest == guest)
        with self._database.reading() as connection:
            return [_run_record(row) for row in connection.execute(query)]

    def set_status(
        self,
        run: RunId,
        status: Status,
        error: str | None = None,
        waits: Mapping[str, int] | None = None,
    ) -> None:
        """Write what a run is doing, and why if it cannot go on.

        Args:
            run: The run.
            status: What it is doing.
            error: Why it cannot go on.
            waits: How many clients a waiting one waits for, and how many of them are here.

        Raises:
            NotFoundError: There is no such run.
        """
        now = self._clock.now()
        change = {"status": status, "error": error, "waits": waits, "updated_at": now}
        statement = update(schema.runs).where(schema.runs.c.id == run).values(change)
        with self._database.writing(of=run) as connection:
            if not connection.execute(statement).rowcount:
                raise NotFoundError("run", run)

    def stop_resting(self, run: RunId) -> None:
        """Write that a run which rests is stopped.

        Raises:
            NotFoundError: There is no such run.
            RoundStateError: Another process drives it, or is at work and had it last; says which.
        """
        change: dict[str, Any] = {"status": Status.STOPPED, "error": None, "waits": None}
        change |= {"updated_at": self._clock.now()}
        with self._database.writing(of=run) as connection:
            check_not_driven(self._database, connection, record_of(connection, run))
            connection.execute(update(schema.runs).where(schema.runs.c.id == run).values(change))

    def set_plan(
        self, run: RunId, plan_yaml: str, plan_hash: str, *, forget_after: int | None = None
    ) -> None:
        """Write that a run goes on by another plan.

        Args:
            run: The run.
            plan_yaml: The plan.
            plan_hash: Its digest.
            forget_after: The last round that stays. Later ones are taken back, because the other
                plan does them again and may do them otherwise; None keeps all.

        Raises:
            NotFoundError: There is no such run.
            ValueError: A later round is committed to the history.
        """
        runs = schema.runs
        change = {"plan_yaml": plan_yaml, "plan_hash": plan_hash, "updated_at": self._clock.now()}
        with self._database.writing(of=run) as connection:
            row = connection.execute(select(runs).where(runs.c.id == run)).first()
            if row is None:
                raise NotFoundError("run", run)
            connection.execute(update(runs).where(runs.c.id == run).values(change))
            if forget_after is not None:
                closing_rows.forget(connection, row, forget_after)

    def rename_doubles(self) -> None:
        """Give branches another name that are called as the first branch of their run.

        That was possible once; rows of such a branch cannot be told from those of the first one.
        """
        runs = schema.runs.c
        double = select(runs.id, runs.name).where(runs.branch == "main", runs.name.like("%/main"))
        with self._database.reading() as connection:
            if not connection.execute(double).first():
                return
        with self._database.writing(fenced=False) as connection:
            taken = set(connection.scalars(select(runs.name)))
            for row in connection.execute(double).all():
                trunk = row.name.partition("/")[0]
                name = next(
                    name for n in count(2) if f"{trunk}/{(name := f'main-{n}')}" not in taken
                )
                change = {"name": f"{trunk}/{name}", "branch": name}
                connection.execute(update(schema.runs).where(runs.id == row.id).values(change))
                for table in (schema.closings, schema.heads, schema.forgotten):
                    of_run = update(table).where(table.c.run == row.id)
                    connection.execute(of_run.values(branch=name))
                why = f"{row.name} was called as the first branch"
                done = Operation(self._clock.now(), "flnb", "rename", row.id, why, change)
                log.append(connection, done)


def _run_record(row: Row[Any]) -> RunRecord:
    return RunRecord(**{**row._mapping, "status": Status(row.status)})
