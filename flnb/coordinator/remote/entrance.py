"""Who may come in: invites become keys, signed challenges become tokens, and tokens are read.

Everything here happens on the coordinator's loop; databases are asked in the lab's one thread.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from flnb.coordinator.remote.challenges import Challenges
from flnb.coordinator.remote.spoken import check_name
from flnb.core.clock import SYSTEM_CLOCK
from flnb.core.errors import AccessRefusedError
from flnb.store import ClientRecord, LabStore
from flnb.transport import Limits
from flnb.transport.identity import verify
from flnb.transport.invite import token_hash
from flnb.transport.tokens import Claims, TokenIssuer
from flnb.transport.v1 import federation_pb2 as pb

InIo = Callable[..., Awaitable[Any]]


class Entrance:
    """Lets clients of one lab in.

    Args:
        store: The lab's store.
        issuer: Signs and checks access tokens.
        limits: Bounds.
        in_io: Does blocking work in the lab's one thread for databases.
    """

    def __init__(self, store: LabStore, issuer: TokenIssuer, limits: Limits, in_io: InIo) -> None:
        self._store, self._issuer, self._limits, self._in_io = store, issuer, limits, in_io
        self._challenges = Challenges()
        self._void_before: dict[str, float] = {}
        """Client to when its older tokens were taken back; seconds since 1970."""

    def claims(self, token: str) -> Claims:
        """Read a token.

        Raises:
            AccessRefusedError: It is not one of ours, or was taken back.
            TokenExpiredError: It is too old.
        """
        claims = self._issuer.verify(token)
        issued_at = claims.expires_at - self._limits.token_lifetime_s
        if issued_at < self._void_before.get(claims.name, 0.0):
            raise AccessRefusedError(f"the token of {claims.name} was taken back")
        return claims

    def void(self, client: str) -> None:
        """Take the tokens back that a client has."""
        self._void_before[client] = SYSTEM_CLOCK.now().timestamp()

    async def join(self, request: pb.JoinRequest) -> tuple[ClientRecord, bool]:
        """Bind a key to an invited name.

        Returns:
            Who has joined, and whether another key had the name before.

        Raises:
            AccessRefusedError: No such invite, used by another key, or not signed.
            TokenExpiredError: The invite is too old.
        """
        if not verify(request.public_key, request.signature, "flnb-join", request.token.encode()):
            raise AccessRefusedError("the request to join is not signed by the key that it names")
        registry, invite = self._store.state, token_hash(request.token)
        before: ClientRecord | None = await self._in_io(registry.holder, invite)
        now = SYSTEM_CLOCK.now()
        record: ClientRecord = await self._in_io(registry.join, invite, request.public_key, now)
        return record, before is not None and before.public_key != record.public_key

    def challenge(self, client: str) -> bytes:
        """Make something to sign.

        Raises:
            AccessRefusedError: No client is called like that.
        """
        check_name(client)
        return self._challenges.give(client)

    async def grant(self, client: str, nonce: bytes, signature: bytes) -> pb.SignInReply:
        """Give an access token for a signed challenge.

        Raises:
            AccessRefusedError: Not signed by that client's key, or the client was revoked.
            TokenExpiredError: The challenge is too old.
        """
        check_name(client)
        self._challenges.check(client, nonce)
        record: ClientRecord | None = await self._in_io(self._store.state.find_client, client)
        lab = self._store.id.encode()
        # Strangers hear the same whether there is such a client or not.
        if record is None or not verify(record.public_key, signature, "flnb-sign-in", lab, nonce):
            raise AccessRefusedError(
                f"the challenge is not signed by the key of {client!r}",
                hint="join this lab first, with an invite; a newer one gives the name to a new key",
            )
        check_welcome(record)
        self._challenges.check(client, nonce)  # again: it may have been used meanwhile
        self._challenges.used(nonce)
        lifetime_s = self._limits.token_lifetime_s
        token = self._issuer.issue(record.name, record.role, lifetime_s)
        return pb.SignInReply(access_token=token, lifetime_s=lifetime_s)


def check_welcome(record: ClientRecord) -> None:
    """Look whether a client has been shut out.

    Raises:
        AccessRefusedError: It was revoked.
    """
    if record.revoked_at is not None:
        raise AccessRefusedError(f"client {record.name!r} was revoked: {record.reason}")
