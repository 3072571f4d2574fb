"""The caller's end of the service `Control`: ask, or listen, with a token in every call.

What the coordinator refuses is raised here with its class and its words. What breaks is an
`UnreachableError`: a link does not try again by itself, its owner does. Only a call that the coordinator
turned away unseen is made again here.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

from google.protobuf.message import Message
from grpc import ChannelConnectivity, aio

from flnb import __version__
from flnb.core.errors import UnreachableError
from flnb.core.jitter import about
from flnb.transport.certs import Certified
from flnb.transport.control import SERVICE
from flnb.transport.convert import PROTOCOL, decoded
from flnb.transport.ending import Ending, Headers, bearer, open_channel
from flnb.transport.limits import Limits
from flnb.transport.v1 import control_pb2 as pb

Anything = TypeVar("Anything", bound=Message)

if TYPE_CHECKING:
    Asking = aio.UnaryUnaryMultiCallable[bytes, bytes]
    Starting = aio.UnaryStreamMultiCallable[bytes, bytes]

_COMING_BACK_S, _GREETING_S, _ANSWER_S = 1.5, 20.0, 600.0
"""A task that is made anew may have to read a lot first; a dead connection shows sooner."""
_LOOK_EVERY_S, _READY = 0.01, ChannelConnectivity.READY
_AGAIN_S, _AGAIN_MOST_S, _SEEN_WITHIN_S = 0.01, 0.2, 20.0
"""Before a call that nobody looked at is made again, and for how long it is."""


class ControlLink:
    """A channel to a coordinator for a person's program; made and used on one running loop.

    Args:
        address: `host:port`.
        certificate: The authority that signs the coordinator's certificate (PEM). Only on
            loopback may there be none.
        token: Gives the access token of each call that brings none of its own.
        limits: Bounds of what the coordinator may send.
        own: The caller's own certificate, for coordinators that ask for one.

    Raises:
        PlanError: Not an address, or no certificate for one that others can listen to.
    """

    def __init__(
        self,
        address: str,
        certificate: bytes | None,
        token: Callable[[], str] | None,
        *,
        limits: Limits | None = None,
        own: Certified | None = None,
    ) -> None:
        self.address, self._token, self._limits = address, token, limits or Limits()
        self._channel = open_channel(address, certificate, self._limits, own)

    async def status(self) -> pb.StatusReply:
        """Ask who answers, and compare versions.

        Raises:
            AccessRefusedError: The token is not good.
            FLBaseError: Another version of the protocol.
            UnreachableError: Nobody answers.
        """
        request = pb.StatusRequest(protocol=PROTOCOL, version=__version__)
        return await self.ask("Status", request, pb.StatusReply, within_s=_GREETING_S)

    async def ask(
        self,
        method: str,
        request: Message,
        kind: type[Anything],
        *,
        within_s: float = _ANSWER_S,
        token: str | None = None,
    ) -> Anything:
        """Ask for one message.

        Args:
            method: A name in `METHODS`.
            request: What is asked.
            kind: What is answered.
            within_s: How long that may take.
            token: Who asks, if not the owner of the link.

        Raises:
            FLBaseError: What the coordinator raised.
            UnreachableError: Nobody answers, or the connection broke.
        """
        await self._ready()
        ask: Asking = self._channel.unary_unary(f"/{SERVICE}/{method}")
        raw = request.SerializeToString()
        for wait_s, left_s, last in _tries(within_s):
            await asyncio.sleep(wait_s)
            call = ask(raw, timeout=left_s, metadata=self._who(token))
            ending = Ending(call, self.address)
            try:
                async with ending.in_our_words():
                    return decoded(kind, await call)
            except UnreachableError:
                if last or not ending.unseen:
                    raise
        raise AssertionError("the last try ends in an answer or an error")

    async def listen(
        self, method: str, request: Message, *, token: str | None = None
    ) -> AsyncGenerator[bytes, None]:
        """Ask for a stream of raw messages.

        Args:
            method: A name in `METHODS`.
            request: What is asked.
            token: Who asks, if not the owner of the link.

        Yields:
            Each of them.

        Raises:
            FLBaseError: What the coordinator raised.
            UnreachableError: Nobody answers, the connection broke, or nothing moves.
        """
        await self._ready()
        start: Starting = self._channel.unary_stream(f"/{SERVICE}/{method}")
        raw = request.SerializeToString()
        for wait_s, _, last in _tries(_ANSWER_S):
            await asyncio.sleep(wait_s)
            call = start(raw, metadata=self._who(token))
            ending, within_s = Ending(call, self.address), _ANSWER_S
            try:
                while True:
                    async with ending.in_our_words(within_s):
                        data: Any = await call.read()
                    if not isinstance(data, bytes):
                        return  # gRPC's sign for the end
                    last = True  # it was looked at
                    yield data
                    within_s = self._limits.lease_s
            except UnreachableError:
                if last or not ending.unseen:
                    raise
            finally:
                call.cancel()

    async def whole(self, method: str, request: Message, *, token: str | None = None) -> bytes:
        """Ask for raw chunks, and put them together.

        Raises:
            FLBaseError: What the coordinator raised.
            UnreachableError: Nobody answers, or the connection broke.
        """
        return b"".join([chunk async for chunk in self.listen(method, request, token=token)])

    def _who(self, token: str | None) -> Headers:
        if token is None:
            assert self._token is not None, "a link without an owner is told who asks"
            token = self._token()
        return bearer(token)

    async def _ready(self) -> None:
        """Give a connection that is just coming back a moment; gRPC alone would fail at once."""
        # Looked at again and again, for gRPC's own wait for a change cannot be taken back: it would
        # end when nobody's loop is there any more, and print that in whatever cell runs then.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_COMING_BACK_S):
                while self._channel.get_state(try_to_connect=True) is not _READY:  # noqa: ASYNC110  # see above
                    await asyncio.sleep(_LOOK_EVERY_S)

    async def close(self) -> None:
        """End everything that is open on this link."""
        await self._channel.close()


def _tries(within_s: float) -> Iterator[tuple[float, float, bool]]:
    """Tries at a call: the seconds to wait before, those left for it then, and whether it is the last."""
    now_s = asyncio.get_running_loop().time
    begun_s, wait_s = now_s(), 0.0
    while True:
        left_s = within_s - (now_s() - begun_s) - wait_s
        last = within_s - left_s + _AGAIN_MOST_S > min(within_s, _SEEN_WITHIN_S)
        yield wait_s, left_s, last
        # A crowd that was turned away together would come back together.
        wait_s = min(_AGAIN_MOST_S, max(_AGAIN_S, about(2 * wait_s)))
