"""The coordinator's end of the wire: takes calls, checks who calls, and asks the hub.

All calls are handled as streams of raw messages, because only then is nothing of a body read
before it is known who sends it; on the wire a single message is a stream of one. gRPC's own
handlers for single messages read first and ask later.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterator
from types import TracebackType
from typing import Any, TypeVar

import grpc
from google.protobuf.message import Message
from grpc import aio

from flnb.core.clock import SYSTEM_CLOCK
from flnb.core.errors import (
    FLBaseError,
    IntegrityError,
    PlanError,
    StorageFullError,
    StoreError,
    UnreachableError,
)
from flnb.transport.certs import ServerCertificate
from flnb.transport.convert import (
    SERVICE,
    Call,
    Context,
    Notes,
    address_of,
    broken,
    check_protocol,
    is_loopback,
    refusal,
    try_port,
)
from flnb.transport.hub import ChunkSink, Hub
from flnb.transport.limits import Allowance, Limits, server_options
from flnb.transport.manifest import CHUNK_BYTES, check_places
from flnb.transport.tokens import Claims
from flnb.transport.v1 import federation_pb2 as pb

log = logging.getLogger(__name__)

Anything = TypeVar("Anything", bound=Message)

_WATCH_S = 0.5


class Server:
    """Serves clients over gRPC, on the running loop.

    Args:
        hub: Owns the state.
        limits: Bounds.
    """

    def __init__(self, hub: Hub, limits: Limits) -> None:
        self._hub, self._limits = hub, limits
        self._server: aio.Server | None = None
        self._answering: set[asyncio.Task[Any]] = set()
        self._sessions = 0
        self._transfers: dict[str, int] = {}
        self._sign_ins = asyncio.Semaphore(limits.sign_ins)
        self._uploads = asyncio.Semaphore(limits.uploads)
        per_s, per_minute = limits.requests_per_s, limits.failed_joins_per_minute
        self._requests = Allowance(per_s, per_s, limits.clients)
        self._failed_joins = Allowance(per_minute / 60, per_minute, limits.clients)

    async def start(
        self,
        host: str,
        port: int,
        tls: ServerCertificate | None = None,
        client_ca: bytes | None = None,
    ) -> int:
        """Listen.

        Args:
            host: Address of this machine to listen on.
            port: 0 takes any free one.
            tls: Own certificate; without one only loopback is allowed.
            client_ca: Take only clients with a certificate of this authority (PEM).

        Returns:
            The port.

        Raises:
            PlanError: The port is taken, the address not this machine's, or TLS is missing.
        """
        if tls is None and (client_ca is not None or not is_loopback(host)):
            raise PlanError(
                f"a coordinator on {host} must not listen without TLS",
                hint="give it a certificate, or listen on 127.0.0.1",
            )
        await try_port(host, port)
        server = aio.server(
            options=server_options(self._limits),
            # For whoever no other bound has stopped; the others refuse with better words.
            maximum_concurrent_rpcs=4 * self._limits.clients,
        )
        server.add_generic_rpc_handlers((self._handlers(),))
        address = address_of(host, port)
        try:
            if tls is None:
                bound = server.add_insecure_port(address)
            else:
                pair = (tls.key_pem, tls.certificate_pem)
                credentials = grpc.ssl_server_credentials([pair], client_ca, client_ca is not None)
                bound = server.add_secure_port(address, credentials)
        except RuntimeError as error:
            raise PlanError(f"cannot listen on {address}: {error}") from error
        await server.start()
        self._server = server
        return bound

    async def stop(self, grace_s: float) -> None:
        """Take no more calls, wait for the open ones, then end them and free the port.

        Args:
            grace_s: How long to wait. Sessions do not end by themselves: say goodbye first.
        """
        server, self._server = self._server, None
        if server is not None:
            await server.stop(grace_s)
        if self._answering:  # gRPC does not wait until those that it ended have tidied up
            await asyncio.wait(tuple(self._answering), timeout=5.0)

    # --- calls ------------------------------------------------------------------------------------

    def _handlers(self) -> grpc.GenericRpcHandler:
        answers = {
            "Join": self._join,
            "Challenge": self._challenge,
            "SignIn": self._sign_in,
            "Session": self._session,
            "Fetch": self._fetch,
            "Send": self._send,
        }
        handlers = {name: self._handler(answer) for name, answer in answers.items()}
        return grpc.method_handlers_generic_handler(SERVICE, handlers)

    def _handler(
        self, answer: Callable[[Call], Awaitable[None]]
    ) -> grpc.RpcMethodHandler[bytes, bytes]:
        async def handle(_requests: Any, context: Context) -> None:
            await self._answer(answer, Call(context, self._limits))

        return grpc.stream_stream_rpc_method_handler(handle)

    async def _answer(self, answer: Callable[[Call], Awaitable[None]], call: Call) -> None:
        task = asyncio.current_task()
        assert task is not None, "a coroutine runs in a task"
        self._answering.add(task)
        try:
            await answer(call)
        except asyncio.CancelledError:
            if task.cancelling():
                raise
            # Something within was cancelled, not this call; gRPC would leave the client waiting.
            await call.context.abort(*refusal(UnreachableError("the call was ended"), known=True))
        except aio.BaseError:
            raise  # the connection broke
        except Exception as error:
            if isinstance(error, FLBaseError) and not _is_ours(error):
                await call.context.abort(*refusal(error, known=call.claims is not None))
            log.exception("a call of %s failed", call.peer)
            await call.context.abort(*broken())
        finally:
            self._answering.discard(task)

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

    async def _exchange(
        self, call: Call, kind: type[Anything], answer: Callable[[Anything], Awaitable[Message]]
    ) -> None:
        """One message for one, with somebody who is not known yet."""
        async with self._sign_ins:
            reply = await answer(await call.first(kind))
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
            async with _Watch(self._hub, call) as watch:
                for place in places:
                    await call.context.write(package.chunk(place))
                    watch.moved()

    async def _send(self, call: Call) -> None:
        claims = await self._known(call)
        with self._transfer_of(claims):
            request = await call.first(pb.SendRequest)
            places = check_places(request.chunks, -(-self._limits.model_bytes // CHUNK_BYTES))
            async with self._uploads:
                sink = await self._hub.sink(claims, request)
                complete = False
                try:
                    async with _Watch(self._hub, call) as watch:
                        await _take_chunks(call, places, sink, watch)
                    complete = True
                finally:
                    await sink.close(complete)
        await call.write(pb.SendReply(chunks=len(places)))

    async def _known(self, call: Call) -> Claims:
        claims = await self._hub.claims(call.token)
        call.claims = claims
        if (early_s := self._requests.spend(claims.name)) > 0:
            raise UnreachableError(
                f"more than {self._limits.requests_per_s:g} calls a second from {claims.name}",
                hint=f"try again in {early_s:.1f} s",
            )
        return claims

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


class _Watch:
    """Ends a transfer that stands still, or whose token no longer holds."""

    def __init__(self, hub: Hub, call: Call) -> None:
        self._hub, self._call = hub, call
        self._reason: Exception | None = None
        self.moved()

    def moved(self) -> None:
        """A chunk went through."""
        self._moved_s = SYSTEM_CLOCK.monotonic_s()

    async def __aenter__(self) -> _Watch:
        self._transfer = asyncio.current_task()
        self._watching = asyncio.create_task(self._watch(), name="flnb-transfer")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self._watching.cancel()
        if self._reason is not None and self._transfer is not None:
            others = self._transfer.uncancel()
            if kind is asyncio.CancelledError and not others:
                raise self._reason

    async def _watch(self) -> None:
        try:
            await self._holds()
        except Exception as error:
            self._reason = error
            if self._transfer is not None:
                self._transfer.cancel()

    async def _holds(self) -> None:
        lease_s = self._call.limits.lease_s
        while SYSTEM_CLOCK.monotonic_s() - self._moved_s < lease_s:
            await asyncio.sleep(_WATCH_S)
            await self._hub.claims(self._call.token)
        raise UnreachableError(f"the transfer stood still for {lease_s:g} s")


async def _take_chunks(call: Call, places: list[int], sink: ChunkSink, watch: _Watch) -> None:
    last = max(places, default=-1)  # only the last chunk of a vector may be shorter
    for taken, place in enumerate(places):
        data = await call.read()
        if data is None:
            raise IntegrityError(f"the upload ended after {taken} of {len(places)} chunks")
        if not data or len(data) > CHUNK_BYTES or (len(data) < CHUNK_BYTES and place != last):
            raise IntegrityError(f"chunk {place} has {len(data)} bytes, not {CHUNK_BYTES}")
        await sink.write(place, data)
        watch.moved()
    if await call.read() is not None:
        raise IntegrityError(f"there are more than the {len(places)} chunks that were announced")


def _is_ours(error: FLBaseError) -> bool:
    """Whether it is the coordinator's own trouble, and none of the client's business."""
    return isinstance(error, StoreError) and not isinstance(error, StorageFullError)
