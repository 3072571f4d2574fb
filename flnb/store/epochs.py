"""Who took the lab when: epochs, of which the newest holds it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from flnb.core import Clock, RunId
from flnb.core.errors import LabHeldError, LabLostError
from flnb.store import schema
from flnb.store.database import Database
from flnb.store.lease import Holder
from flnb.store.whose import OWN

_epochs, _lab = schema.epochs, schema.lab


@dataclass(frozen=True, slots=True)
class Epoch:
    """One holding of a lab, from when it was taken to when it was let go."""

    epoch: int
    holder: Holder
    until: datetime | None
    """End of its lease unless that is renewed, by the database's clock; None in a folder."""
    ended_at: datetime | None
    """When it was let go in order; None if it was not."""


class Epochs:
    """The part of the state that knows who holds the lab, and who did."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock

    def epochs(self) -> list[Epoch]:
        """Every holding of the lab, oldest first."""
        query = select(_epochs).order_by(_epochs.c.epoch)
        with self._database.reading() as connection:
            return [_epoch(row) for row in connection.execute(query)]

    def leased_to(self) -> Holder | None:
        """Who holds a shared lab at this moment by a lease that has not run out."""
        with self._database.reading() as connection:
            newest = _newest(connection)
            now = self._database.now(connection)
        return newest.holder if newest is not None and _lasts(newest, now) else None

    def leased_for_s(self) -> float | None:
        """For how many seconds more a shared lab is leased; None if nobody has a lease."""
        with self._database.reading() as connection:
            newest = _newest(connection)
            now = self._database.now(connection)
        if newest is None or newest.until is None or not _lasts(newest, now):
            return None
        return (newest.until - now).total_seconds()

    def begin_epoch(
        self,
        holder: Holder,
        lease_s: float | None = None,
        on_lost: Callable[[LabLostError], None] | None = None,
    ) -> tuple[Epoch, bool]:
        """Take the lab: from now on transactions of those who held it before are refused.

        Args:
            holder: Who takes it; `since` is set by the database of a shared lab.
            lease_s: How long it is taken for unless `renew_epoch` is called; None where a lock of
                the kernel says who holds it.
            on_lost: Called once when it is found out that somebody else took a shared lab.

        Returns:
            The epoch, and whether the one before was let go in order.

        Raises:
            LabHeldError: Somebody else's lease has not run out.
        """
        with self._database.writing(fenced=False) as connection:
            before, now = _newest(connection), self._database.now(connection)
            if before is not None and _lasts(before, now):
                raise _held(self._database.lab, before, now)
            number = 1 + (before.epoch if before else 0)
            until = None if lease_s is None else now + timedelta(seconds=lease_s)
            row = asdict(holder) | {"epoch": number, "until": until, "since": now}
            connection.execute(insert(_epochs), row)
            connection.execute(update(_lab).values(epoch=number))
            if self._database.shared and before is not None and before.ended_at is None:
                connection.execute(delete(schema.guests))  # their machine may be what stood still
        mine = Epoch(number, replace(holder, since=now), until, None)
        self._database.guest = ""
        if self._database.shared:
            self._database.lost, self._database.on_lost = None, on_lost
            self._database.fence = number
        return mine, before is None or before.ended_at is not None

    def renew_epoch(self, epoch: int, lease_s: float) -> None:
        """Hold the lab longer, also after the lease had run out and nobody wanted it.

        Raises:
            LabLostError: Somebody took it meanwhile.
            StorageUnreachableError: The database does not answer.
        """
        with self._database.renewing() as connection:  # which looks at the epoch
            until = self._database.now(connection) + timedelta(seconds=lease_s)
            connection.execute(update(_epochs).where(_epochs.c.epoch == epoch).values(until=until))

    def end_epoch(self, epoch: int, *, in_order: bool) -> None:
        """Let the lab go; if not in order, whoever takes it looks after what is half done.

        From then on this process writes as somebody who does not hold the lab. Where the lab was lost,
        or may be, the fence stays until it is taken again: threads of this process may still be
        at work that the holder of then began.

        Raises:
            LabLostError: Somebody took it before.
            StorageUnreachableError: The database does not answer; the lease runs out.
        """
        with self._database.writing() as connection:
            now = self._database.now(connection)
            change = {"until": now} | ({"ended_at": now} if in_order else {})
            connection.execute(update(_epochs).where(_epochs.c.epoch == epoch).values(change))
        self._database.fence = None

    def check_epoch(self) -> None:
        """Find out now whether a shared lab is still this process', or it is still a guest there.

        Raises:
            LabLostError: Somebody took it, or acted on the lease of the guest, which had run out.
            StorageUnreachableError: The database does not answer.
        """
        if self._database.fence is not None or (self._database.shared and self._database.guest):
            with self._database.writing(of=OWN):
                pass

    def check_free(self, run: RunId) -> None:
        """Find out now whether rows of a run would be refused, before somebody does what they say.

        Args:
            run: The run.

        Raises:
            LabHeldError: Another process holds the lab, or is the guest that has the run.
            LabLostError: Another process took it from this one.
            RoundStateError: This process is a guest, and has another run.
            StorageUnreachableError: The database does not answer.
        """
        with self._database.writing(of=run):
            pass

    def check_whole(self) -> None:
        """Find out now whether this process may write what is of the whole lab.

        Raises:
            LabHeldError: Another process holds the lab.
            LabLostError: Another process took it from this one.
            RoundStateError: This process is a guest of it.
            StorageUnreachableError: The database does not answer.
        """
        with self._database.writing():
            pass

    def tell_nobody(self) -> None:
        """Call nobody any more when it is found out that the lab was lost."""
        self._database.on_lost = None


def held_elsewhere(database: Database, connection: Connection) -> LabHeldError | None:
    """Look whether another process than this one has a lease of a shared lab; what to say then.

    Args:
        database: The state of the lab.
        connection: A transaction that nobody takes the lab in before it ends.
    """
    newest, now = _newest(connection), database.now(connection)
    if newest is None or newest.holder.is_here or not _lasts(newest, now):
        return None
    return _held(database.lab, newest, now)


def _newest(connection: Connection) -> Epoch | None:
    newest = select(func.max(_epochs.c.epoch)).scalar_subquery()
    row = connection.execute(select(_epochs).where(_epochs.c.epoch == newest)).first()
    return None if row is None else _epoch(row)


def _lasts(epoch: Epoch, now: datetime) -> bool:
    return epoch.ended_at is None and epoch.until is not None and now < epoch.until


def _held(lab: str, epoch: Epoch, now: datetime) -> LabHeldError:
    since = f"{epoch.holder.since:%Y-%m-%d %H:%M:%S} UTC"
    error = LabHeldError(lab, str(epoch.holder), since)
    assert epoch.until is not None, "what lasts has an end"
    left_s = (epoch.until - now).total_seconds()
    error.hint += f"; if that process is gone, the lab is free in {left_s:.0f} s"
    return error


def _epoch(row: Row[Any]) -> Epoch:
    holder = Holder(row.who, row.pid, row.host, row.since, row.word or "")
    return Epoch(row.epoch, holder, row.until, row.ended_at)
