"""Which people may speak to a coordinator that runs as a service: their tokens, by identity."""

from __future__ import annotations

from dataclasses import asdict

from sqlalchemy import delete, insert, select, update

from flnb.core import Clock
from flnb.core.errors import NotFoundError
from flnb.store import schema
from flnb.store.database import Database
from flnb.store.records import TokenRecord

_tokens = schema.tokens


class Tokens:
    """The part of the state that knows people's tokens.

    A token that is not written here is good for nothing, whoever signed it.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock

    def add_token(self, record: TokenRecord) -> None:
        """Write that a token was given out; those of the same person that expired are forgotten."""
        columns = _tokens.c
        old = delete(_tokens).where(columns.name == record.name)
        with self._database.writing(beside=True) as connection:
            connection.execute(old.where(columns.expires_at <= self._clock.now()))
            connection.execute(insert(_tokens), asdict(record))

    def tokens(self) -> list[TokenRecord]:
        """Every token that is remembered, newest first."""
        query = select(_tokens).order_by(_tokens.c.created_at.desc(), _tokens.c.name)
        with self._database.reading() as connection:
            return [TokenRecord(*row) for row in connection.execute(query)]

    def find_token(self, token_id: str) -> TokenRecord | None:
        """Look a token up by its identity."""
        query = select(_tokens).where(_tokens.c.id == token_id)
        with self._database.reading() as connection:
            row = connection.execute(query).first()
        return TokenRecord(*row) if row is not None else None

    def forget_token(self, token_id: str) -> None:
        """Forget a token that its owner gives back: it is worth nothing from now on."""
        with self._database.writing(beside=True) as connection:
            connection.execute(delete(_tokens).where(_tokens.c.id == token_id))

    def revoke_tokens(self, name: str) -> int:
        """Make all tokens of a person worthless; returns how many still were good.

        Raises:
            NotFoundError: Nobody of that name has one; the nearest name is offered.
        """
        columns, now = _tokens.c, self._clock.now()
        change = update(_tokens).where(columns.name == name, columns.revoked_at.is_(None))
        with self._database.writing(beside=True) as connection:
            known = connection.scalars(select(columns.name).distinct()).all()
            if name not in known:
                raise NotFoundError("token of", name, known)
            good = change.where(columns.expires_at > now)
            return connection.execute(good.values(revoked_at=now)).rowcount
