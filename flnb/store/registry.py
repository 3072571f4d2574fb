"""Who may take part: invites that were given out, and the clients that joined with them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, func, insert, select, update

from flnb.core import Clock
from flnb.core.errors import AccessRefusedError, NotFoundError, StoreError, TokenExpiredError
from flnb.store import log, schema
from flnb.store.database import Database, upsert
from flnb.store.records import ClientRecord, InviteRecord, Operation, key_name

_ASK = "ask whoever runs the coordinator for a new invite"
_clients, _invites = schema.clients, schema.invites


class Registry:
    """The part of the state that knows remote clients.

    A name belongs to the key that joined with its latest invite, so an invite is worth the name:
    as soon as a key joins, and when the client is revoked, all other invites of that name end.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock

    def add_invite(self, record: InviteRecord) -> None:
        """Write that an invite was given out. Others of the same name stay good until one is used.

        Raises:
            StoreError: The token has been given out before.
        """
        known = select(_invites.c.client).where(_invites.c.token_hash == record.token_hash)
        with self._database.writing(beside=True) as connection:
            if connection.execute(known).first() is not None:
                raise StoreError(
                    "an invite has this token already", hint="make a new token for each invite"
                )
            connection.execute(insert(_invites), asdict(record))

    def invites(self) -> list[InviteRecord]:
        """Every invite that was ever given out, newest first."""
        query = select(_invites).order_by(_invites.c.created_at.desc(), _invites.c.client)
        with self._database.reading() as connection:
            return [InviteRecord(*row) for row in connection.execute(query)]

    def open_invites(self) -> dict[str, datetime]:
        """Every name that somebody could join under now, with the end of its longest invite."""
        ends_at = func.max(_invites.c.expires_at).label("ends_at")
        query = select(_invites.c.client, ends_at).where(*_open(self._clock.now()))
        with self._database.reading() as connection:
            rows = connection.execute(query.group_by(_invites.c.client))
            return {row.client: row.ends_at for row in rows}

    def holder(self, token_hash: str) -> ClientRecord | None:
        """Who has joined under the name that an invite is for; None if nobody has.

        Args:
            token_hash: Digest of the invite's token.
        """
        named = select(_invites.c.client).where(_invites.c.token_hash == token_hash)
        query = select(_clients).where(_clients.c.name == named.scalar_subquery())
        with self._database.reading() as connection:
            row = connection.execute(query).first()
        return None if row is None else _client_record(row)

    def join(self, token_hash: str, public_key: bytes, now: datetime) -> ClientRecord:
        """Bind a key to the name that an invite is for.

        The same key may come again while the invite lives: nothing changes then. With a new invite
        a key takes over a name that has joined before. Its history stays, the key before is void,
        and a revocation is lifted.

        Args:
            token_hash: Digest of the invite's token.
            public_key: The key; that who asks holds it was checked before.
            now: The time.

        Raises:
            AccessRefusedError: There is no such invite, it was revoked, or another key used it.
            TokenExpiredError: The invite is too old.
        """
        with self._database.writing(beside=True) as connection:
            row = connection.execute(
                select(_invites).where(_invites.c.token_hash == token_hash)
            ).first()
            if row is None:
                raise AccessRefusedError("no invite of this lab has this token", hint=_ASK)
            invite = InviteRecord(*row)
            _check(invite, public_key, now)
            if invite.used_by is None:
                _bind(connection, invite, public_key, now)
            found = select(_clients).where(_clients.c.name == invite.client)
            return _client_record(connection.execute(found).one())

    def rotate(self, name: str, known: bytes, fresh: bytes, now: datetime) -> ClientRecord:
        """Let another key of the same client speak for its name, and note that for ever.

        Nothing changes where that has happened already: whoever did not hear the answer asks again.

        Args:
            name: The client.
            known: The key that asked; that it did was checked before.
            fresh: The key that takes its place; likewise.
            now: The time.

        Raises:
            AccessRefusedError: Neither key speaks for this name, or the client was revoked.
        """
        found = select(_clients).where(_clients.c.name == name)
        with self._database.writing(beside=True) as connection:
            row = connection.execute(found).first()
            if row is None or row.revoked_at is not None or row.public_key not in {known, fresh}:
                raise AccessRefusedError(f"no key of {name!r} asked for another one", hint=_ASK)
            if row.public_key != fresh:
                change = {"public_key": fresh, "rotated_at": now}
                connection.execute(update(_clients).where(_clients.c.name == name).values(change))
                keys = {"client": name, "from": key_name(known), "to": key_name(fresh)}
                log.append(connection, Operation(now, name, "rotate-key", details=keys))
            return _client_record(connection.execute(found).one())

    def find_client(self, name: str) -> ClientRecord | None:
        """Look a client up that may have joined; costs the same whoever asks for whatever name."""
        with self._database.reading() as connection:
            row = connection.execute(select(_clients).where(_clients.c.name == name)).first()
        return None if row is None else _client_record(row)

    def client(self, name: str) -> ClientRecord:
        """Find a client that has joined, revoked or not.

        Raises:
            NotFoundError: None of that name has; the nearest name is offered.
        """
        if (found := self.find_client(name)) is not None:
            return found
        with self._database.reading() as connection:
            raise _no_client(connection, name)

    def clients(self) -> list[ClientRecord]:
        """Every client that has joined, revoked or not, by name."""
        with self._database.reading() as connection:
            rows = connection.execute(select(_clients).order_by(_clients.c.name))
            return [_client_record(row) for row in rows]

    def revoke_client(self, name: str, reason: str, now: datetime) -> None:
        """Shut a client out until it is invited again; its invites end too, used or not.

        One that is shut out already keeps the time and the reason of the first word.

        Raises:
            NotFoundError: None of that name has joined or could join; the nearest name is offered.
        """
        change = update(_clients).where(_clients.c.name == name, _clients.c.revoked_at.is_(None))
        invited = select(_invites.c.client).where(*_open(now))
        with self._database.writing(beside=True) as connection:
            known = connection.scalars(select(_clients.c.name).union(invited)).all()
            if name not in known:
                raise NotFoundError("client", name, known)
            connection.execute(change.values(revoked_at=now, reason=reason))
            _end_invites(connection, name, now)

    def revoked(self) -> dict[str, str]:
        """Every client that is shut out, with the reason."""
        query = select(_clients.c.name, _clients.c.reason).where(_clients.c.revoked_at.is_not(None))
        with self._database.reading() as connection:
            return {row.name: row.reason for row in connection.execute(query)}

    def seen(self, name: str, now: datetime, n_examples: int, about: Mapping[str, Any]) -> None:
        """Write that a client is here.

        Args:
            name: The client.
            now: The time.
            n_examples: How many examples it has.
            about: What it tells of itself: version, task, machine; anything that JSON can hold.

        Raises:
            NotFoundError: None of that name has joined; the nearest name is offered.
        """
        change = {"last_seen_at": now, "n_examples": n_examples, "about": dict(about)}
        statement = update(_clients).where(_clients.c.name == name).values(change)
        with self._database.writing(beside=True) as connection:
            if not connection.execute(statement).rowcount:
                raise _no_client(connection, name)


def _check(invite: InviteRecord, public_key: bytes, now: datetime) -> None:
    """Raise unless a key may use an invite now."""
    what = f"the invite for {invite.client!r}"
    if invite.used_by not in {None, public_key}:
        raise AccessRefusedError(f"{what} was used by another client", hint=_ASK)
    if invite.revoked_at is not None:
        ended = f"{what} ended at {_when(invite.revoked_at)}"
        raise AccessRefusedError(f"{ended}: it was revoked, or another one was used", hint=_ASK)
    if now >= invite.expires_at:
        raise TokenExpiredError(f"{what} expired at {_when(invite.expires_at)}", hint=_ASK)


def _bind(connection: Connection, invite: InviteRecord, public_key: bytes, now: datetime) -> None:
    """Let a key speak for the name of an invite; what else is known of the name stays."""
    of_invite = _invites.c.token_hash == invite.token_hash
    connection.execute(update(_invites).where(of_invite).values(used_by=public_key))
    _end_invites(connection, invite.client, now, but=invite.token_hash)
    change = {"public_key": public_key, "role": invite.role, "joined_at": now}
    change |= {"revoked_at": None, "reason": "", "rotated_at": None}
    fresh = upsert(connection, _clients).values(
        name=invite.client, n_examples=0, about={}, **change
    )
    connection.execute(fresh.on_conflict_do_update(index_elements=["name"], set_=change))


def _open(now: datetime) -> tuple[ColumnElement[bool], ...]:
    """What is so of an invite that somebody could join with."""
    columns = _invites.c
    return columns.used_by.is_(None), columns.revoked_at.is_(None), columns.expires_at > now


def _end_invites(connection: Connection, client: str, now: datetime, *, but: str = "") -> None:
    # One that lay about could otherwise give the name to a third key, or lift a revocation.
    others = (_invites.c.client == client, _invites.c.token_hash != but)
    ended = update(_invites).where(*others, _invites.c.revoked_at.is_(None))
    connection.execute(ended.values(revoked_at=now))


def _no_client(connection: Connection, name: str) -> NotFoundError:
    return NotFoundError("client", name, connection.scalars(select(_clients.c.name)).all())


def _client_record(row: Row[Any]) -> ClientRecord:
    return ClientRecord(**row._mapping)


def _when(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
