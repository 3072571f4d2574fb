"""What a server needs from whoever owns the state: who may come in, and where things go.

A server knows the wire and nothing else. All of this is called on the server's loop, so blocking
work belongs into a thread. What is refused is an `FLBaseError`, and reaches the client with its
class and its words; anything else is logged here and told without details.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Protocol

from flnb.transport.call import Sendable
from flnb.transport.manifest import Package
from flnb.transport.tokens import Claims
from flnb.transport.v1 import federation_pb2 as pb


class ChunkSink(Protocol):
    """Where the chunks of one upload go."""

    async def write(self, places: Sequence[int], data: bytes) -> None:
        """Take the chunks of one message; the next is read when this returns.

        Args:
            places: Where they belong.
            data: The chunks, one after the other.

        Raises:
            IntegrityError: One is not the chunk that belongs there.
            StorageFullError: The disk is full.
        """
        ...

    async def close(self, complete: bool) -> None:
        """The upload is over; called exactly once.

        Args:
            complete: Whether every announced chunk was written. The client hears that they were
                taken only after this has returned.
        """
        ...


class Hub(Protocol):
    """Owner of the state behind a server."""

    async def claims(self, token: str) -> Claims:
        """Read an access token, before a byte of the call's body is read.

        Asked again every half second while a transfer runs: one that raises ends it.

        Raises:
            AccessRefusedError: It is not one of ours, or was taken back.
            TokenExpiredError: It is too old.
        """
        ...

    async def join(self, request: pb.JoinRequest, peer: str) -> pb.JoinReply:
        """Bind a key to an invited name.

        Args:
            request: What the client sent; its protocol is one that is spoken here.
            peer: The address that it came from, without the port.

        Raises:
            AccessRefusedError: No such invite, used by another key, or not signed.
            TokenExpiredError: The invite is too old.
        """
        ...

    async def rotate(self, request: pb.RotateRequest) -> pb.RotateReply:
        """Bind another key of the same client to its name.

        Raises:
            AccessRefusedError: Not signed by both keys, or the client was revoked.
            TokenExpiredError: The challenge is too old.
        """
        ...

    async def challenge(self, request: pb.ChallengeRequest) -> pb.ChallengeReply:
        """Give a client something to sign."""
        ...

    async def sign_in(self, request: pb.SignInRequest) -> pb.SignInReply:
        """Give an access token for a signed challenge.

        Raises:
            AccessRefusedError: Not signed by that client's key, or the client was revoked.
        """
        ...

    async def session(
        self,
        claims: Claims,
        notes: AsyncIterator[pb.ClientNote],
        send: Callable[[Sendable], Awaitable[None]],
    ) -> None:
        """Serve one client for as long as it is here; the session ends when this returns.

        Args:
            claims: Who it is.
            notes: What it says; the first is a hello. They end when it leaves or its connection
                breaks. Only one task may read them.
            send: Says something to it; waits while its connection is full, and raises
                `UnreachableError` when it is gone. Any number of tasks may call it.

        Raises:
            FLBaseError: The session is refused or ended with this reason.
        """
        ...

    async def package(self, claims: Claims, digest: bytes) -> Package:
        """Find a version that this client may fetch.

        Raises:
            NotFoundError: No such version, or not for this client.
        """
        ...

    async def sink(self, claims: Claims, request: pb.SendRequest) -> ChunkSink:
        """Say where the chunks of an upload go; may wait until there is room.

        Raises:
            AccessRefusedError: The work is not this client's.
            NotFoundError: Nobody waits for this update.
            IntegrityError: A place is not one of the update's.
        """
        ...
