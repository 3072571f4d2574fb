"""Who may come in: invites become keys, keys follow keys, signed challenges become tokens.

Everything here happens on the coordinator's loop; databases are asked in the lab's one thread.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from typing import Any

from flnb.coordinator.remote.challenges import Challenges
from flnb.coordinator.remote.spoken import check_name
from flnb.core.clock import SYSTEM_CLOCK
from flnb.core.errors import AccessRefusedError, TokenExpiredError
from flnb.core.failpoints import reach
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
        self._bound: dict[str, str] = {}
        """Client to the one binding whose tokens are good; empty if none is, all if it is not here."""

    def claims(self, token: str) -> Claims:
        """Read a token.

        Raises:
            AccessRefusedError: It is not one of ours, or was revoked.
            TokenExpiredError: It is too old, or of another key.
        """
        claims = self._issuer.verify(token)
        bound, what = self._bound.get(claims.name), f"the token of {claims.name} was revoked"
        if bound == "":  # also of those that a flnb of before gave, which are bound to nothing
            raise AccessRefusedError(what)
        if bound not in (None, claims.bound):
            raise TokenExpiredError(f"{what}: another key has the name, or it joined anew")
        return claims

    def void(self, client: str) -> None:
        """Take all tokens of a client back; those that it is granted from now on are good."""
        self._bound[client] = ""

    def check_bound(self, record: ClientRecord, claims: Claims) -> None:
        """Look whether a token was given to the key that has its name now; older ones are void from now on.

        Whoever held the key before may still have one, and a new coordinator knows of no session that it
        should have ended.

        Raises:
            TokenExpiredError: To another key, or before it joined anew, or by a flnb of before.
        """
        self._bound[record.name] = _binding(record)
        if claims.bound != self._bound[record.name]:
            raise TokenExpiredError(f"{record.name} has another key since this token was given")

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

    async def rotate(self, request: pb.RotateRequest) -> tuple[ClientRecord, bool]:
        """Bind another key of the same client to its name.

        Returns:
            Whose key it is, and whether it was bound now: one that asks again is told the same.

        Raises:
            AccessRefusedError: Not signed by the key that speaks for the client now, or by the new
                one; or the client was revoked.
            TokenExpiredError: The challenge is too old.
        """
        client, fresh = request.client, request.public_key
        check_name(client)
        self._challenges.check(client, request.nonce)
        what = "flnb-rotate", self._store.id.encode(), request.nonce, fresh
        record: ClientRecord | None = await self._in_io(self._store.state.find_client, client)
        if record is None or not verify(fresh, request.possession, *what):
            raise _not_signed(client)
        bound = record.public_key == fresh  # and the answer was lost on its way
        if not bound and not verify(record.public_key, request.signature, *what):
            raise _not_signed(client)
        check_welcome(record)
        self._challenges.check(client, request.nonce)  # again: it may have been used meanwhile
        self._challenges.used(request.nonce)
        known, now = record.public_key, SYSTEM_CLOCK.now()
        after: ClientRecord = await self._in_io(self._store.state.rotate, client, known, fresh, now)
        reach("key-bound")
        return after, not bound

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
            raise _not_signed(client)
        check_welcome(record)
        self._challenges.check(client, nonce)  # again: it may have been used meanwhile
        self._challenges.used(nonce)
        lifetime_s = self._limits.token_lifetime_s
        bound = self._bound[record.name] = _binding(record)
        token = self._issuer.issue(record.name, record.role, lifetime_s, bound=bound)
        return pb.SignInReply(access_token=token, lifetime_s=lifetime_s)


def check_welcome(record: ClientRecord) -> None:
    """Look whether a client has been shut out.

    Raises:
        AccessRefusedError: It was revoked.
    """
    if record.revoked_at is not None:
        raise AccessRefusedError(f"client {record.name!r} was revoked: {record.reason}")


def _binding(record: ClientRecord) -> str:
    """Which key has the name since when, in short; no clock is asked which of two is newer.

    A clock that was ahead when a client joined, and was set right, would make all its tokens too old.
    """
    bound = f"{record.public_key.hex()} {record.key_since.isoformat()}"
    return hashlib.sha256(bound.encode()).hexdigest()[:32]


def _not_signed(client: str) -> AccessRefusedError:
    return AccessRefusedError(
        f"the challenge is not signed by the key of {client!r}",
        hint="join this lab first, with an invite; a newer one gives the name to a new key",
    )
