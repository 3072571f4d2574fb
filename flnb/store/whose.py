"""Who may write the rows of a run: the guest that has it, or whoever holds the lab.

Looked at in the transaction that writes, by `Database.writing`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Connection, select

from flnb.core import RunId
from flnb.core.errors import LabHeldError, RoundStateError
from flnb.store import schema

if TYPE_CHECKING:
    from flnb.store.database import Database

OWN = RunId("")
"""Stands for runs that a statement itself keeps to: those of whoever writes."""
_runs = schema.runs.c


def check_own(database: Database, connection: Connection, of: RunId | None) -> None:
    """Refuse rows to a guest that are not of its runs.

    Args:
        database: The state of the lab.
        connection: The transaction that writes.
        of: The run whose rows these are; None are rows of the whole lab.

    Raises:
        RoundStateError: They are of the whole lab, or of a run that is none of the guest's.
    """
    if of == OWN:
        return
    if of is None:
        raise RoundStateError(
            f"guest {database.guest} of lab {database.lab} may write its own runs, and nothing of the "
            "whole lab",
            hint="do it where the lab is held, or in a notebook outside of the study",
        )
    row = connection.execute(select(_runs.guest, _runs.name).where(_runs.id == of)).first()
    if row is not None and row.guest != database.guest:
        raise RoundStateError(
            f"run {row.name!r} is none of guest {database.guest} of lab {database.lab}",
            hint=f"do it where the lab is held; lab.resume({row.name!r}) takes it if it rests",
        )


def check_no_guest(database: Database, connection: Connection, of: RunId | None) -> None:
    """Refuse rows of a run whose guest is at work to who neither holds the lab nor is that guest.

    Whoever holds the lab claims a run before driving it, and is refused there.

    Args:
        database: The state of the lab.
        connection: The transaction that writes.
        of: The run whose rows these are; None are rows of the whole lab.

    Raises:
        LabHeldError: The run is its guest's; says whose, and since when.
    """
    if not of or database.holds:
        return
    row = connection.execute(select(_runs.guest, _runs.name).where(_runs.id == of)).first()
    if row is None or row.guest is None:
        return
    there = database.guests(connection).get(row.guest)
    if there is None or there.is_here:
        return
    since = f"{there.since:%Y-%m-%d %H:%M:%S} UTC"
    error = LabHeldError(f"{database.lab}, in it run {row.name!r},", str(there), since)
    error.hint = "ask it: run.pause(), run.stop(), run.rollback(…); or wait for its end there"
    raise error
