"""Who is not invited to rounds for now: one row for each client that rests, with who said so and why."""

from __future__ import annotations

from dataclasses import asdict

from sqlalchemy import delete, insert, select

from flnb.core import Clock
from flnb.core.errors import RoundStateError
from flnb.store import log, schema
from flnb.store.database import Database
from flnb.store.generations import check_reason
from flnb.store.records import Operation, QuarantineRecord

_table = schema.quarantines


class Quarantines:
    """The part of the state that knows who is in quarantine. The log keeps what has been."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock

    def quarantine(self, client: str, actor: str, reason: str) -> QuarantineRecord:
        """Write that a client is not to be drawn; one that rests already keeps its first reason.

        Raises:
            PlanError: The reason cannot be written down.
        """
        check_reason(reason)
        now = self._clock.now()
        made = QuarantineRecord(client, now, actor, reason)
        with self._database.writing(beside=True) as connection:
            found = connection.execute(select(_table).where(_table.c.client == client)).first()
            if found is not None:
                return QuarantineRecord(*found)
            connection.execute(insert(_table), asdict(made))
            details = {"client": client}
            log.append(connection, Operation(now, actor, "quarantine", None, reason, details))
        return made

    def release(self, client: str, actor: str, reason: str) -> None:
        """Write that a client may be drawn again.

        Raises:
            RoundStateError: It is not in quarantine.
            PlanError: The reason cannot be written down.
        """
        check_reason(reason)
        with self._database.writing(beside=True) as connection:
            gone = connection.execute(delete(_table).where(_table.c.client == client))
            if not gone.rowcount:
                raise RoundStateError(
                    f"{client} is not in quarantine", hint="flnb client list shows who is"
                )
            now, details = self._clock.now(), {"client": client}
            log.append(connection, Operation(now, actor, "release", None, reason, details))

    def quarantines(self) -> dict[str, QuarantineRecord]:
        """Everybody who is in quarantine now, by name."""
        with self._database.reading() as connection:
            rows = connection.execute(select(_table).order_by(_table.c.client))
            return {row.client: QuarantineRecord(*row) for row in rows}
