"""One call at the coordinator: who makes it, what it brings, and what is said."""

from __future__ import annotations

import asyncio
import urllib.parse
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, runtime_checkable

from google.protobuf.message import Message
from grpc import aio

from flnb.core.errors import AccessRefusedError, IntegrityError, UnreachableError
from flnb.transport.convert import Refusal, decoded
from flnb.transport.limits import Allowance, Limits
from flnb.transport.tokens import Claims
from flnb.transport.v1 import federation_pb2 as pb

if TYPE_CHECKING:
    Context = aio.ServicerContext[bytes, bytes]
else:
    Context = Any  # what gRPC hands over is not an instance of the class that it documents

Anything = TypeVar("Anything", bound=Message)


@runtime_checkable
class Sendable(Protocol):
    """A message, or what becomes one as it is sent."""

    def SerializeToString(self) -> bytes:  # noqa: N802 - the name that messages have for it
        """The message as it travels."""
        ...


class Call:
    """One call, with words for what gRPC says in signs."""

    def __init__(self, context: Context, limits: Limits) -> None:
        self.context, self.limits = context, limits
        self.claims: Claims | None = None
        """Who calls, once that is known."""
        self._writing = asyncio.Lock()
        self._first: asyncio.Future[None] | None = None
        """What was said first: the headers go with it."""

    @property
    def peer(self) -> str:
        """The caller's address, without the port."""
        return urllib.parse.unquote(self.context.peer().partition(":")[2]).rpartition(":")[0]

    @property
    def token(self) -> str:
        """The access token that came with the call."""
        for key, value in self.context.invocation_metadata() or ():
            if key == "authorization" and isinstance(value, str) and value[:7] == "Bearer ":
                return value[7:]
        raise AccessRefusedError("no access token", hint="sign in first")

    async def first(self, kind: type[Anything]) -> Anything:
        """Read what is asked for; that must come soon.

        Raises:
            IntegrityError: Nothing came, or not what should.
            UnreachableError: It takes too long.
        """
        within_s = self.limits.sign_in_timeout_s
        try:
            async with asyncio.timeout(within_s):
                raw = await self.read()
        except TimeoutError:
            raise UnreachableError(f"nothing was asked within {within_s:g} s") from None
        if raw is None:
            raise IntegrityError(f"no {kind.DESCRIPTOR.name} came")
        return decoded(kind, raw)

    async def read(self) -> bytes | None:
        """The next raw message; None when there are no more, or the caller is gone."""
        raw: Any = await self.context.read()
        return raw if isinstance(raw, bytes) else None  # else it is gRPC's sign for the end

    async def begin(self) -> None:
        """Tell the caller to go on, before there is an answer; headers that are empty say it."""
        async with self._writing:
            await self._say(self.context.send_initial_metadata, ())

    async def write(self, message: Sendable) -> None:
        """Say something; several tasks may.

        Raises:
            UnreachableError: The caller is gone.
        """
        try:
            await self.write_raw(message.SerializeToString())
        except aio.BaseError as error:
            raise UnreachableError(f"{self.peer} is gone") from error

    async def write_raw(self, raw: bytes) -> None:
        """Say something that is raw; several tasks may, gRPC takes one message at a time."""
        async with self._writing:
            await self._say(self.context.write, raw)

    async def refuse(self, why: Refusal) -> None:
        """End the call; raises what gRPC wants to see raised."""
        await self.first_is_out()
        await self.context.abort(*why)

    async def first_is_out(self) -> None:
        """Wait until gRPC has passed on what was said first, if anything was.

        Before that it cannot end a call: it would send the headers again, fail at it, and leave the
        caller waiting for ever.
        """
        if self._first is not None and not self._first.done():
            await asyncio.wait([self._first])

    async def _say(self, how: Callable[[Any], Coroutine[Any, Any, None]], what: Any) -> None:
        if self._first is None:  # goes on when whoever says it is cancelled, as it does within gRPC
            self._first = asyncio.ensure_future(how(what))
            self._first.add_done_callback(_noticed)
            await asyncio.shield(self._first)
        else:
            await self.first_is_out()
            await how(what)


def _noticed(said: asyncio.Future[None]) -> None:
    """Take note of how it ended: whoever waited for it may be gone, and asyncio would complain."""
    if not said.cancelled():
        said.exception()


class Notes:
    """What a client says in its session; read no faster than it may speak."""

    def __init__(self, call: Call, first: pb.ClientNote, per_s: float) -> None:
        self._call, self._first = call, [first]
        self._spoken = Allowance(per_s, per_s, names=1)

    def __aiter__(self) -> AsyncIterator[pb.ClientNote]:
        return self

    async def __anext__(self) -> pb.ClientNote:
        if (early_s := self._spoken.spend("")) > 0:
            await asyncio.sleep(early_s)
        if self._first:
            return self._first.pop()
        if (raw := await self._call.read()) is None:
            raise StopAsyncIteration
        return decoded(pb.ClientNote, raw)
