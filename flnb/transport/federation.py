"""The service that clients call: join, sign in, a session, and models as chunks."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from typing import TypeVar

from google.protobuf.message import Message

from flnb.core.errors import FLBaseError, IntegrityError, UnreachableError
from flnb.transport.allocator import Holes
from flnb.transport.answering import Answering, Handlers, Watchdog
from flnb.transport.call import Call, Notes
from flnb.transport.convert import SERVICE, check_protocol
from flnb.transport.hub import ChunkSink, Hub
from flnb.transport.limits import Allowance
from flnb.transport.listening import Listening
from flnb.transport.manifest import BUNDLE_CHUNKS, CHUNK_BYTES, check_places
from flnb.transport.places import Place, Places, Traffic
from flnb.transport.tokens import Claims, Role
from flnb.transport.v1 import federation_pb2 as pb

Anything = TypeVar("Anything", bound=Message)

_CROWD = 8
"""So many transfers leave holes in the heap."""


class Federation:
    """Serves clients.

    Args:
        hub: Owns the state.
        answering: Where calls are answered.
    """

    def __init__(self, hub: Hub, answering: Answering) -> None:
        limits = answering.limits
        self._hub, self._answering, self._limits = hub, answering, limits
        self._sessions = 0
        self._transfers: dict[str, int] = {}
        self._listening = Listening(limits.sign_ins)
        self._sign_ins = asyncio.Semaphore(limits.sign_ins)
        made = partial(Places, traffic=Traffic(), when_left=Holes(_CROWD).left)
        self._uploads = made(limits.uploads, still_s=limits.still_upload_s)
        self._downloads = made()
        per_minute = limits.failed_joins_per_minute
        self._failed_joins = Allowance(per_minute / 60, per_minute, limits.clients)

    def handlers(self) -> Handlers:
        """What gRPC is told of this service."""
        answers = {
            "Join": self._join,
            "Challenge": self._challenge,
            "SignIn": self._sign_in,
            "Rotate": self._rotate,
            "Session": self._session,
            "Fetch": self._fetch,
            "Send": self._send,
        }
        return self._answering.handlers(SERVICE, answers)

    async def _join(self, call: Call) -> None:
        if self._failed_joins.early_s(call.peer) > 0:
            raise UnreachableError(
                f"too many requests to join from {call.peer} have failed",
                hint="wait a minute, then try again with a valid invite",
            )

        async def answer(request: pb.JoinRequest) -> pb.JoinReply:
            check_protocol(request.protocol, request.version)
            try:
                return await self._hub.join(request, call.peer)
            except FLBaseError:
                self._failed_joins.spend(call.peer)
                raise

        await self._exchange(call, pb.JoinRequest, answer)

    async def _challenge(self, call: Call) -> None:
        async def answer(request: pb.ChallengeRequest) -> pb.ChallengeReply:
            check_protocol(request.protocol)
            return await self._hub.challenge(request)

        await self._exchange(call, pb.ChallengeRequest, answer)

    async def _sign_in(self, call: Call) -> None:
        await self._exchange(call, pb.SignInRequest, self._hub.sign_in)

    async def _rotate(self, call: Call) -> None:
        async def answer(request: pb.RotateRequest) -> pb.RotateReply:
            check_protocol(request.protocol)
            return await self._hub.rotate(request)

        await self._exchange(call, pb.RotateRequest, answer)

    async def _exchange(
        self, call: Call, kind: type[Anything], answer: Callable[[Anything], Awaitable[Message]]
    ) -> None:
        """One message for one, with somebody who is not known yet."""
        async with self._listening.turn():
            request = await call.first(kind)
        async with self._sign_ins:
            reply = await answer(request)
        await call.write(reply)

    async def _session(self, call: Call) -> None:
        claims = await self._known(call)
        if self._sessions >= self._limits.clients:
            raise UnreachableError(
                f"{self._sessions} clients are here, more are not taken", hint="try again later"
            )
        self._sessions += 1
        try:
            first = await call.first(pb.ClientNote)
            if first.WhichOneof("note") != "hello":
                raise IntegrityError("the first note of a session is a hello")
            check_protocol(first.hello.protocol, first.hello.version)
            notes = Notes(call, first, self._limits.requests_per_s)
            await self._hub.session(claims, notes, call.write)
        finally:
            self._sessions -= 1

    async def _fetch(self, call: Call) -> None:
        claims = await self._known(call)
        with self._transfer_of(claims):
            request = await call.first(pb.FetchRequest)
            package = await self._hub.package(claims, request.digest)
            places = check_places(request.chunks, package.manifest.chunk_count)
            turn = self._downloads.place(len(places), partial(call.write_raw, b""))
            async with turn as place, Watchdog(self._hub.claims, call) as watch:
                claims = await self._hub.claims(call.token)  # it may have waited for long
                package = await self._hub.package(claims, request.digest)
                sent = 0
                while sent < len(places):
                    some = places[sent : sent + place.chunks]
                    await place.give(partial(call.write_raw, package.chunks(some)), len(some))
                    sent += len(some)
                    watch.moved()

    async def _send(self, call: Call) -> None:
        claims = await self._known(call)
        with self._transfer_of(claims):
            request = await call.first(pb.SendRequest)
            places = check_places(request.chunks, -(-self._limits.model_bytes // CHUNK_BYTES))
            async with self._uploads.place(len(places)) as place:
                await self._hub.claims(call.token)  # it may have waited for long
                sink = await self._hub.sink(claims, request)
                await call.begin()
                complete = False
                try:
                    async with Watchdog(self._hub.claims, call) as watch:
                        await self._take(call, places, place, sink, watch)
                    complete = True
                finally:
                    await sink.close(complete)
        await call.write(pb.SendReply(chunks=len(places)))

    async def _take(
        self, call: Call, places: list[int], place: Place, sink: ChunkSink, watch: Watchdog
    ) -> None:
        last = max(places, default=-1)  # only the last chunk of a vector may be shorter
        taken = 0
        while taken < len(places):
            data = await place.receive(call.read)
            if data is None:
                raise IntegrityError(f"the upload ended after {taken} of {len(places)} chunks")
            here = places[taken : taken - (-len(data) // CHUNK_BYTES)]
            if not data or len(here) > BUNDLE_CHUNKS or not _fits(data, here, last):
                raise IntegrityError(
                    f"the message for chunk {places[taken]} has {len(data)} bytes; it holds 1 "
                    f"to {BUNDLE_CHUNKS} whole chunks of {CHUNK_BYTES}"
                )
            await sink.write(here, data)
            taken += len(here)
            watch.moved()
        if await place.receive(call.read) is not None:
            raise IntegrityError(
                f"there are more than the {len(places)} chunks that were announced"
            )

    async def _known(self, call: Call) -> Claims:
        # People's tokens are refused: one whose owner bears the name of a client is not that client.
        return await self._answering.known(call, self._hub.claims, Role.CLIENT)

    @contextlib.contextmanager
    def _transfer_of(self, claims: Claims) -> Iterator[None]:
        running = self._transfers.get(claims.name, 0)
        if running >= self._limits.transfers_per_client:
            raise UnreachableError(
                f"{claims.name} has {running} transfers open, more are not taken",
                hint="wait until one has ended",
            )
        self._transfers[claims.name] = running + 1
        try:
            yield
        finally:
            self._transfers[claims.name] -= 1
            if not self._transfers[claims.name]:
                del self._transfers[claims.name]


def _fits(data: bytes, places: list[int], last: int) -> bool:
    """Whether a message can hold the chunks at these places: whole ones, and the last of all."""
    missing = CHUNK_BYTES * len(places) - len(data)
    return missing == 0 or (0 < missing < CHUNK_BYTES and places[-1] == last)
