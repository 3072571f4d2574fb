"""A client's session: one stream of notes each way."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from flnb.core.errors import FLBaseError
from flnb.transport.convert import decoded
from flnb.transport.ending import Ending
from flnb.transport.v1 import federation_pb2 as pb

if TYPE_CHECKING:
    from grpc import aio

    Stream = aio.StreamStreamCall[bytes, bytes]
else:
    Stream = Any  # gRPC's own classes cannot be checked while it runs


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
