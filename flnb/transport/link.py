"""The client's end of the wire: a channel to one coordinator, and one more for each long upload.

What the coordinator refuses is raised here with its class and its words. What breaks is an
`UnreachableError`: a link does not try again by itself, its owner does.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from google.protobuf.message import Message
from grpc import ChannelConnectivity as Connectivity
from grpc import aio

from flnb import __version__
from flnb.core.errors import IntegrityError, UnreachableError
from flnb.transport.certs import Certified
from flnb.transport.convert import PROTOCOL, SERVICE, decoded
from flnb.transport.ending import Ending, bearer, open_channel
from flnb.transport.identity import Identity
from flnb.transport.limits import Limits
from flnb.transport.manifest import BUNDLE_CHUNKS, CHUNK_BYTES
from flnb.transport.pace import Pace
from flnb.transport.session_call import SessionCall, Stream
from flnb.transport.v1 import federation_pb2 as pb

Anything = TypeVar("Anything", bound=Message)

if TYPE_CHECKING:
    Asking = aio.UnaryUnaryMultiCallable[bytes, bytes]
    Starting = aio.UnaryStreamMultiCallable[bytes, bytes]
    Channel = aio.Channel
    Upload = aio.StreamUnaryCall[bytes, bytes]
else:
    Channel = Any  # gRPC's own classes cannot be checked while it runs


_CONNECT_S = 5.0
_WAITING_PINGS_S = 30.0
"""An upload that waits for its place says nothing else, and routers forget a line that is silent."""


@dataclass(frozen=True, slots=True)
class Access:
    """A right to call, for a while."""

    token: str
    lifetime_s: float


class Link:
    """A client's line to its coordinator; made and used on one running loop.

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
        self._open = partial(open_channel, address, certificate, self._limits, own)
        self._channel = self._open()
        self._apart: set[Channel] = set()
        self._closed = False

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
            UnreachableError: The connection broke, or nothing is heard: fetch what is missing again.
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
                if not data and not got:
                    continue  # there is no place yet
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
        if self._closed:
            raise UnreachableError(f"the link to {self.address} was closed")
        request = pb.SendRequest(assignment=assignment, chunks=chunks)
        pace, sent = Pace(doubted=True), 0
        async with self._connection_for(len(chunks)) as channel:
            call: Upload = channel.stream_unary(_method("Send"))(metadata=bearer(token))
            try:
                async with Ending(call, self.address).in_our_words():
                    await call.write(request.SerializeToString())
                    await call.initial_metadata()  # comes when there is a place
                    while sent < len(chunks):
                        some = chunks[sent : sent + pace.chunks]
                        with pace.message(len(some)):
                            await call.write(data(some))
                        sent += len(some)
                    await call.done_writing()
                    return decoded(pb.SendReply, await call).chunks
            finally:
                call.cancel()

    async def close(self) -> None:
        """End everything that is open on this link."""
        self._closed = True
        for channel in (*self._apart, self._channel):
            await channel.close()

    @contextlib.asynccontextmanager
    async def _connection_for(self, chunks: int) -> AsyncIterator[Channel]:
        """A connection for an upload: its own for a long one, if the coordinator takes another.

        As long as a connection stays, gRPC at the coordinator keeps the memory into which it reads
        from it: after an upload that is a megabyte for each client.
        """
        if chunks <= BUNDLE_CHUNKS:
            yield self._channel
            return
        channel = self._open(pings_s=_WAITING_PINGS_S)
        self._apart.add(channel)
        try:
            opened = await _opens(channel)
            if self._closed:
                raise UnreachableError(f"the link to {self.address} was closed")
            yield channel if opened else self._channel
        finally:
            self._apart.discard(channel)
            await channel.close()

    async def _ask(self, method: str, request: Message, kind: type[Anything]) -> Anything:
        ask: Asking = self._channel.unary_unary(_method(method))
        call = ask(request.SerializeToString(), timeout=2 * self._limits.sign_in_timeout_s)
        async with Ending(call, self.address).in_our_words():
            return decoded(kind, await call)


async def _opens(channel: Channel) -> bool:
    """Whether a connection comes about: where files or tunnels are few, it may not."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_CONNECT_S):
            while (state := channel.get_state(try_to_connect=True)) is not Connectivity.READY:
                if state in {Connectivity.TRANSIENT_FAILURE, Connectivity.SHUTDOWN}:
                    break
                await channel.wait_for_state_change(state)
            return state is Connectivity.READY
    return False


def _method(name: str) -> str:
    return f"/{SERVICE}/{name}"
