"""The client's end of the wire: one channel to one coordinator.

What the coordinator refuses is raised here with its class and its words. What breaks is an
`UnreachableError`: a link does not try again by itself, its owner does.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from google.protobuf.message import Message
from grpc import aio

from flnb import __version__
from flnb.core.errors import FLBaseError, IntegrityError
from flnb.transport.certs import Certified
from flnb.transport.convert import PROTOCOL, SERVICE, decoded
from flnb.transport.ending import Ending, bearer, open_channel
from flnb.transport.identity import Identity
from flnb.transport.limits import Limits
from flnb.transport.manifest import CHUNK_BYTES
from flnb.transport.pace import Pace
from flnb.transport.v1 import federation_pb2 as pb

Anything = TypeVar("Anything", bound=Message)

if TYPE_CHECKING:
    Asking = aio.UnaryUnaryMultiCallable[bytes, bytes]
    Starting = aio.UnaryStreamMultiCallable[bytes, bytes]
    Stream = aio.StreamStreamCall[bytes, bytes]
    Upload = aio.StreamUnaryCall[bytes, bytes]
else:
    Stream = Any  # gRPC's own classes cannot be checked while it runs


@dataclass(frozen=True, slots=True)
class Access:
    """A right to call, for a while."""

    token: str
    lifetime_s: float


class Link:
    """A client's channel to its coordinator; made and used on one running loop.

    Args:
        address: `host:port`.
        certificate: The authority that signs the coordinator's certificate (PEM). Only on
            loopback may there be none.
        limits: Bounds of what the coordinator may send.
        own: The client's own certificate, for coordinators that ask for one.

    Raises:
        PlanError: Not an address, or no certificate for one that others can listen to.
    """

    def __init__(
        self,
        address: str,
        certificate: bytes | None = None,
        limits: Limits | None = None,
        *,
        own: Certified | None = None,
    ) -> None:
        self.address, self._limits = address, limits or Limits()
        self._channel = open_channel(address, certificate, self._limits, own)

    async def join(self, token: str, identity: Identity) -> tuple[str, str]:
        """Bind a key to the name in an invite; the same key may do so again.

        Args:
            token: From the invite.
            identity: The key.

        Returns:
            Names of the client and the lab.

        Raises:
            AccessRefusedError: The token is not good.
            TokenExpiredError: The invite is too old.
            FLBaseError: Another version of the protocol.
            UnreachableError: Nobody answers, or it is busy: try again.
        """
        request = pb.JoinRequest(
            protocol=PROTOCOL,
            version=__version__,
            token=token,
            public_key=identity.public,
            signature=identity.sign("flnb-join", token.encode()),
        )
        reply = await self._ask("Join", request, pb.JoinReply)
        return reply.client, reply.lab

    async def sign_in(self, client: str, lab: str, identity: Identity) -> Access:
        """Get an access token for a signed challenge.

        Raises:
            AccessRefusedError: The client is not known, or was revoked.
            FLBaseError: Another version of the protocol.
            UnreachableError: Nobody answers, or it is busy: try again.
        """
        asked = pb.ChallengeRequest(protocol=PROTOCOL, client=client)
        challenge = await self._ask("Challenge", asked, pb.ChallengeReply)
        signature = identity.sign("flnb-sign-in", lab.encode(), challenge.nonce)
        request = pb.SignInRequest(client=client, nonce=challenge.nonce, signature=signature)
        reply = await self._ask("SignIn", request, pb.SignInReply)
        return Access(reply.access_token, reply.lifetime_s)

    async def rotate(self, client: str, lab: str, identity: Identity, fresh: Identity) -> None:
        """Give a client's name to another key of its own; asking again changes nothing more.

        Args:
            client: The name.
            lab: The lab that it has joined.
            identity: The key that speaks for it now, or did before it asked for the first time.
            fresh: The key that takes its place.

        Raises:
            AccessRefusedError: Neither of them speaks for that client, or it was revoked.
            FLBaseError: Another version of the protocol.
            UnreachableError: Nobody answers; the key may be bound all the same: ask again.
        """
        asked = pb.ChallengeRequest(protocol=PROTOCOL, client=client)
        nonce = (await self._ask("Challenge", asked, pb.ChallengeReply)).nonce
        what = "flnb-rotate", lab.encode(), nonce, fresh.public
        request = pb.RotateRequest(
            protocol=PROTOCOL,
            client=client,
            nonce=nonce,
            public_key=fresh.public,
            signature=identity.sign(*what),
            possession=fresh.sign(*what),
        )
        await self._ask("Rotate", request, pb.RotateReply)

    def session(self, token: str) -> SessionCall:
        """Open the session; whether it is taken shows with the first note."""
        call: Stream = self._channel.stream_stream(_method("Session"))(metadata=bearer(token))
        return SessionCall(call, self.address)

    async def fetch(
        self, token: str, digest: bytes, chunks: Sequence[int]
    ) -> AsyncGenerator[bytes, None]:
        """Fetch chunks of a version; they are not checked here.

        Args:
            token: Access token.
            digest: Of the version.
            chunks: Places, in ascending order.

        Yields:
            What one message holds: the chunks at the next places, one after the other.

        Raises:
            NotFoundError: The version is not there any more.
            AccessRefusedError: The token is not good, or no longer.
            IntegrityError: A place is not one of the version's, or out of order.
            UnreachableError: The connection broke, or nothing moves: fetch what is missing again.
        """
        request = pb.FetchRequest(digest=digest, chunks=chunks).SerializeToString()
        start: Starting = self._channel.unary_stream(_method("Fetch"))
        call = start(request, metadata=bearer(token))
        ending = Ending(call, self.address)
        try:
            got = 0
            while True:
                async with ending.in_our_words(self._limits.lease_s):
                    data = await call.read()
                if not isinstance(data, bytes):
                    break
                got += -(-len(data) // CHUNK_BYTES)
                if not data or got > len(chunks):
                    raise IntegrityError(f"asked for {len(chunks)} chunks, got {got} or more")
                yield data
            if got < len(chunks):
                raise IntegrityError(f"asked for {len(chunks)} chunks, got {got}")
        finally:
            call.cancel()

    async def send(
        self,
        token: str,
        assignment: pb.AssignmentId,
        chunks: Sequence[int],
        data: Callable[[Sequence[int]], bytes],
    ) -> int:
        """Send chunks of an update.

        Args:
            token: Access token.
            assignment: What the update is for.
            chunks: Places of the chunks that are wanted, in ascending order.
            data: Gives the chunks at some places, one after the other.

        Returns:
            How many were taken: all.

        Raises:
            IntegrityError: A chunk is not the one that was signed.
            NotFoundError: Nobody waits for this update.
            AccessRefusedError: The token is not good, or no longer.
            StorageFullError: The coordinator's disk is full.
            UnreachableError: The connection broke: offer the update again.
        """
        request = pb.SendRequest(assignment=assignment, chunks=chunks)
        call: Upload = self._channel.stream_unary(_method("Send"))(metadata=bearer(token))
        pace, sent = Pace(), 0
        try:
            async with Ending(call, self.address).in_our_words():
                await call.write(request.SerializeToString())
                await call.initial_metadata()  # comes when there is a place
                while sent < len(chunks):
                    some = chunks[sent : sent + pace.chunks]
                    with pace.message() as message:
                        await call.write(data(some))
                        message.over_the_line(len(some))
                    sent += len(some)
                await call.done_writing()
                return decoded(pb.SendReply, await call).chunks
        finally:
            call.cancel()

    async def close(self) -> None:
        """End everything that is open on this link."""
        await self._channel.close()

    async def _ask(self, method: str, request: Message, kind: type[Anything]) -> Anything:
        ask: Asking = self._channel.unary_unary(_method(method))
        call = ask(request.SerializeToString(), timeout=2 * self._limits.sign_in_timeout_s)
        async with Ending(call, self.address).in_our_words():
            return decoded(kind, await call)


class SessionCall:
    """A client's session. One task may read, any number may write.

    A task that is cancelled while it reads or writes ends the session with it: gRPC does so.
    """

    def __init__(self, call: Stream, address: str) -> None:
        self._call, self._closed = call, False
        self._ending = Ending(call, address)
        self._writing = asyncio.Lock()

    async def write(self, note: pb.ClientNote) -> None:
        """Say something to the coordinator.

        Raises:
            FLBaseError: The session has ended, with this reason.
        """
        async with self._writing, self._ending.in_our_words():
            await self._call.write(note.SerializeToString())

    def __aiter__(self) -> AsyncIterator[pb.CoordinatorNote]:
        """What the coordinator says, until it ends the session.

        Raises:
            FLBaseError: The session has ended, with this reason.
        """
        return self

    async def __anext__(self) -> pb.CoordinatorNote:
        try:
            async with self._ending.in_our_words():
                raw = await self._call.read()
        except FLBaseError:
            if self._closed:
                raise StopAsyncIteration from None
            raise
        if not isinstance(raw, bytes):
            raise StopAsyncIteration
        return decoded(pb.CoordinatorNote, raw)

    async def close(self) -> None:
        """Leave: say that no more comes, wait a moment for the coordinator, then hang up."""
        self._closed = True
        with contextlib.suppress(FLBaseError, TimeoutError):
            async with self._ending.in_our_words():
                await self._call.done_writing()
                async with asyncio.timeout(1.0):
                    await self._call.code()
        self._call.cancel()


def _method(name: str) -> str:
    return f"/{SERVICE}/{name}"
