"""Guests of a shared lab: a row each, good until a time by the database's clock, unless it is renewed.

A guest whose lease has run out goes on if nobody noticed. Whoever acts on it, by taking one of its runs or
marking them as interrupted, removes its row in the same transaction; then the guest is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update

from flnb.core.errors import LabHeldError, LabLostError, RoundStateError
from flnb.store import schema
from flnb.store.database import Database
from flnb.store.guests import in_the_way, taken
from flnb.store.lease import Holder
from flnb.store.whose import OWN

SWEEP = "/sweep"
"""Name of the row of whoever lets commits go: no guest is called so."""
_guests = schema.guests


class Stays:
    """The part of the state that knows the guests of a shared lab."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def begin_stay(
        self,
        name: str,
        holder: Holder,
        lease_s: float,
        on_lost: Callable[[LabLostError], None] | None = None,
    ) -> tuple[Holder, int]:
        """Come into a shared lab as a guest, or as `SWEEP` keep guests out of it.

        Args:
            name: What the guest is called.
            holder: Who comes; `since` is set by the database.
            lease_s: For how long, unless `renew_stay` is called.
            on_lost: Called once when it is found out that the guest is one no more.

        Returns:
            Who came, and the epoch of the lab.

        Raises:
            LabHeldError: A guest of that name is there.
            RoundStateError: Commits are being let go; or guests are there, and none may be.
        """
        database = self._database
        with database.writing(fenced=False) as connection:
            there = present(database, connection)
            if name in there:
                one = there[name]
                since = f"{one.since:%Y-%m-%d %H:%M:%S} UTC"
                raise taken(database.lab, name, LabHeldError(database.lab, str(one), since))
            if SWEEP in there:
                raise RoundStateError(
                    f"commits of lab {database.lab} are being let go",
                    hint="wait for that, then start again",
                )
            if name == SWEEP and there:
                raise in_the_way(database.lab, there)
            now = database.now(connection)
            # Also a sweep whose time ran out: it finds out, and ends, when it wants to stay longer.
            connection.execute(delete(_guests).where(_guests.c.name.in_([name, SWEEP])))
            until = now + timedelta(seconds=lease_s)
            row = asdict(holder) | {"name": name, "since": now, "until": until}
            connection.execute(insert(_guests), row)
            epoch = connection.scalar(select(schema.lab.c.epoch)) or 0
        if name != SWEEP:
            database.lost, database.on_lost = None, on_lost
            database.guest = name
            database.fence = None  # of when this process held the lab
        return replace(holder, since=now), epoch

    def renew_stay(self, name: str, lease_s: float) -> None:
        """Stay longer.

        Raises:
            LabLostError: It is no guest any more.
            StorageUnreachableError: The database does not answer.
        """
        with self._database.renewing() as connection:  # which looks whether the guest is there
            until = self._database.now(connection) + timedelta(seconds=lease_s)
            mine = update(_guests).where(_guests.c.name == name)
            if not connection.execute(mine.values(until=until)).rowcount:
                raise LabLostError(self._database.lab, 0, 0, "", guest=name)

    def end_stay(self, name: str) -> None:
        """Leave; from then on this process writes as somebody who is no guest.

        Raises:
            LabLostError: It was no guest any more; the fence stays until it comes or takes the lab again.
            StorageUnreachableError: The database does not answer; the lease runs out.
        """
        with self._database.writing(of=OWN) as connection:
            connection.execute(delete(_guests).where(_guests.c.name == name))
        if name != SWEEP:
            self._database.guest = ""


def present(database: Database, connection: Connection) -> dict[str, Holder]:
    """Whose lease has not run out, by name; `SWEEP` among them.

    Args:
        database: The state of a shared lab.
        connection: A transaction.
    """
    query = select(_guests).where(_guests.c.until > database.now(connection))
    rows = connection.execute(query.order_by(_guests.c.name))
    return {row.name: _holder(row) for row in rows}


def stays(connection: Connection, name: str) -> bool:
    """Whether this process is still the guest of a name, as far as anybody has noticed."""
    row = connection.execute(select(_guests).where(_guests.c.name == name)).first()
    return row is not None and _holder(row).is_here


def dismiss(database: Database, connection: Connection) -> None:
    """Remove guests whose lease has run out: what they write from now on is refused."""
    gone = _guests.c.until <= database.now(connection)
    connection.execute(delete(_guests).where(gone))


def _holder(row: Row[Any]) -> Holder:
    return Holder(row.who, row.pid, row.host, row.since, row.word or "")
