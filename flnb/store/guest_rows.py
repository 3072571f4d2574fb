"""Which process drives a run, as rows say it: whoever holds the lab, or a guest that has it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from sqlalchemy import ColumnElement, Connection, and_, or_, select, update

from flnb.core import Clock, RunId, Status
from flnb.core.errors import RoundStateError
from flnb.store import schema
from flnb.store.database import Database
from flnb.store.lease import Holder
from flnb.store.lines import record_of
from flnb.store.records import RunRecord
from flnb.store.whose import OWN

_runs = schema.runs
_GOING_ON = [status for status in Status if not status.over]


class GuestRows:
    """The part of the state that knows whose a run is."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock

    def guests(self) -> Mapping[str, Holder]:
        """Who is at work as a guest of the lab, by name."""
        with self._database.reading() as connection:
            return self._database.guests(connection)

    def be_guest(self, name: str) -> None:
        """Write as a guest from now on: only rows of its own runs. Empty ends that."""
        self._database.guest = name

    def claim_run(self, run: RunId) -> tuple[str | None, int]:
        """Take a run to drive it: from now on it is this process', as whoever holds the lab or a guest.

        `LabStore.claim_run` lets commits carry the epoch as well.

        Returns:
            The guest that had it last, None is whoever held the lab; and the present epoch of a
            shared lab, which no commit of the run is later than.

        Raises:
            RoundStateError: Another process drives it, or is at work and had it last; says which.
            NotFoundError: There is no such run.
        """
        with self._database.writing(of=OWN) as connection:
            record = record_of(connection, run)
            check_not_driven(self._database, connection, record)
            mine = self._database.guest or None
            self._database.dismiss(connection)
            if record.guest != mine:
                connection.execute(update(_runs).where(_runs.c.id == run).values(guest=mine))
            return record.guest, connection.scalar(select(schema.lab.c.epoch)) or 0

    def give_back(self, run: RunId, whose: str | None) -> None:
        """Undo a claim of a run that could not be driven: it is again of who had it.

        Args:
            run: The run.
            whose: The guest that had it before.
        """
        mine = _runs.c.guest.is_not_distinct_from(self._database.guest or None)
        statement = update(_runs).where(_runs.c.id == run, mine).values(guest=whose)
        if whose != (self._database.guest or None):
            with self._database.writing(of=OWN) as connection:
                connection.execute(statement)

    def interrupted(self) -> None:
        """Say of every run that was going on, and was this process', that its process has died.

        For who takes the lab, or begins as a guest: what had its name before is gone. Runs of guests
        that are gone are marked as well, and none of a guest that is at work.
        """
        mine = self._database.guest or None
        with self._database.writing(of=OWN) as connection:
            gone = _of_nobody(self._database, connection)
            self._mark(connection, or_(_runs.c.guest.is_not_distinct_from(mine), gone))

    def abandoned(self) -> int:
        """Say of runs that were going on, and whose guests are gone, that their process has died.

        Returns:
            How many there were.
        """
        of_guests = select(_runs.c.guest).distinct()
        going_on = of_guests.where(_runs.c.status.in_(_GOING_ON), _runs.c.guest.is_not(None))
        with self._database.reading() as connection:
            # Asked whenever somebody has written, and there is seldom such a run.
            names = set(connection.scalars(going_on))
            if not names or names <= self._database.guests(connection).keys():
                return 0
        with self._database.writing(of=OWN) as connection:
            return self._mark(connection, _of_nobody(self._database, connection))

    def _mark(self, connection: Connection, whose: ColumnElement[bool]) -> int:
        self._database.dismiss(connection)
        now = self._clock.now()
        change = {"status": Status.INTERRUPTED, "waits": None, "updated_at": now}
        marked = connection.execute(
            update(_runs).where(_runs.c.status.in_(_GOING_ON), whose).values(change)
        )
        return int(marked.rowcount)


def taken_by(database: Database, record: RunRecord) -> RunRecord:
    """The row of a new run: it is of who makes it, and of a study only if that is a guest."""
    if not database.guest:
        return replace(record, guest=None, study=None, study_key=None)
    return replace(record, guest=database.guest)


def check_not_driven(database: Database, connection: Connection, record: RunRecord) -> None:
    """Refuse a run that another process drives, or a guest that is at work had last.

    Args:
        database: The state of the lab.
        connection: A writing transaction.
        record: The run's row, as it stands in it.

    Raises:
        RoundStateError: It is driven elsewhere; says by whom, and since when.
    """
    if record.guest == (database.guest or None):
        return
    if record.guest is not None:
        there = database.guests(connection).get(record.guest)
        if there is None:
            return
        who = f"{there} since {there.since:%Y-%m-%d %H:%M:%S} UTC"
    else:
        held = None if record.status.over else database.held_elsewhere(connection)
        if held is None:
            return
        who = f"{held.holder} since {held.since}"
    raise RoundStateError(
        f"run {record.name!r} is in the hands of {who}",
        hint="wait for its end there, or end that process; then try again",
    )


def _of_nobody(database: Database, connection: Connection) -> ColumnElement[bool]:
    """Runs of guests that are not at work any more."""
    there = list(database.guests(connection))
    return and_(_runs.c.guest.is_not(None), _runs.c.guest.not_in(there))
