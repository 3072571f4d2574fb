"""Access tokens of callers: whose each is, and whether it still is good."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from flnb.core.clock import SYSTEM_CLOCK
from flnb.core.errors import TokenExpiredError, UnknownTokenError
from flnb.transport import Claims, TokenIssuer
from flnb.transport.tokens import Role

if TYPE_CHECKING:
    from flnb.store import StateStore

_ASK = "ask an admin of the lab for another: flnb token NAME --role ROLE"


class Credentials:
    """Reads tokens; those that were good stay so until somebody writes to the lab, or they expire.

    A token is read with each call, fifty times a second beside a page. Its row is looked up again only
    after a commit, whoever's it was: so one that is revoked is worth nothing from that moment on.

    Args:
        issuer: Reads what a token says.
        state: Knows which were revoked.
        in_thread: Does blocking work.
    """

    def __init__(
        self, issuer: TokenIssuer, state: StateStore, in_thread: Callable[..., Awaitable[Any]]
    ) -> None:
        self._issuer, self._state, self._in_thread = issuer, state, in_thread
        self._good: dict[str, Claims] = {}
        self._look_for_changes = state.when_changed(self._forget)

    async def claims(self, token: str) -> Claims:
        """Read an access token; see `Controls.claims`."""
        self._look_for_changes()
        good = self._good  # after a commit another one: what is read before that counts no more
        known = good.get(token)
        if known is not None and SYSTEM_CLOCK.now().timestamp() < known.expires_at:
            return known
        try:
            claims = self._issuer.verify(token)
        except TokenExpiredError as error:
            error.hint = _ASK
            raise
        if claims.role is Role.CLIENT:
            return claims  # its role is enough for nothing here
        record = await self._in_thread(self._state.find_token, claims.token_id)
        if record is None:
            raise UnknownTokenError(f"the token of {claims.name} is not known here", hint=_ASK)
        if record.revoked_at is not None:
            when = f"{record.revoked_at:%Y-%m-%d %H:%M:%S} UTC"
            raise UnknownTokenError(f"the token of {claims.name} was revoked at {when}", hint=_ASK)
        good[token] = claims
        return claims

    def _forget(self) -> bool:
        self._good = {}
        return True
