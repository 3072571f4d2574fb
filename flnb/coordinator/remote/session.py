"""One client's session: notes out in order, notes in, and the time at which its token ends."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any

from flnb.core.clock import SYSTEM_CLOCK
from flnb.core.errors import IntegrityError
from flnb.core.ids import ClientId
from flnb.transport import Limits
from flnb.transport.call import Sendable
from flnb.transport.v1 import federation_pb2 as pb

log = logging.getLogger(__name__)

_WAITING_NOTES = 1000
"""More unsent notes than this, and the client is taken for gone."""
_WAITING_OFFERS = 8
"""Each may hold a message; a client has one update at a time, and few that it kept."""
_RENEW_AT = 2 / 3
_GOODBYE_S = 0.5
"""For how long a goodbye may be on its way."""


class ClientSession:
    """One client while it is here; lives on the coordinator's loop.

    Args:
        client: Its name.
        expires_at: When its token ends; seconds since 1970.
        send: Sends one note.
        limits: Bounds.
    """

    def __init__(
        self,
        client: ClientId,
        expires_at: float,
        send: Callable[[Sendable], Awaitable[None]],
        limits: Limits,
    ) -> None:
        self.client = client
        self.layout_hash = ""
        """Known after its hello."""
        self.public_key = b""
        self.left = False
        """Whether it said that it goes."""
        self.ending = False
        """Whether it was told to go: what it still says is not heard."""
        self._expires_at, self._send, self._limits = expires_at, send, limits
        self._asked_to_renew = False
        self.due_at = self._renew_at
        """Before this moment `must_renew` has nothing to say; seconds since 1970."""
        self._notes: asyncio.Queue[Sendable | None] = asyncio.Queue()
        self._tasks: set[asyncio.Task[None]] = set()
        self._over = asyncio.Event()

    @property
    def _renew_at(self) -> float:
        return self._expires_at - (1 - _RENEW_AT) * self._limits.token_lifetime_s

    def post(self, note: Sendable) -> None:
        """Send a note when its turn comes; none follows a goodbye."""
        if self._notes.qsize() > _WAITING_NOTES:
            self._over.set()
        self._notes.put_nowait(note)

    def end(self, reason: str, *, for_good: bool) -> None:
        """Say goodbye and end, at the latest in half a second; the first reason is told."""
        if self.ending:
            return
        self.ending = True
        # Whoever does not read keeps the goodbye from being written, and would stay for ever.
        asyncio.get_running_loop().call_later(_GOODBYE_S, self._over.set)
        goodbye = pb.Goodbye(reason=reason, for_good=for_good)
        self._notes.put_nowait(pb.CoordinatorNote(goodbye=goodbye))
        self._notes.put_nowait(None)

    def must_renew(self, now_s: float) -> bool:
        """Whether the client should be asked, now, to prove again who it is; ends a late one."""
        if now_s >= self._expires_at:
            self.end("the access token has expired", for_good=False)
            return False
        if self._asked_to_renew or now_s < self._renew_at:
            return False
        self._asked_to_renew, self.due_at = True, self._expires_at
        return True

    def renewed(self, token: str, lifetime_s: float) -> None:
        """The client has proved again who it is."""
        self._expires_at = SYSTEM_CLOCK.now().timestamp() + lifetime_s
        self._asked_to_renew, self.due_at = False, self._renew_at
        note = pb.Token(access_token=token, lifetime_s=lifetime_s)
        self.post(pb.CoordinatorNote(token=note))

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something beside the session; it ends with it.

        Raises:
            IntegrityError: Too much is waiting already.
        """
        if len(self._tasks) >= _WAITING_OFFERS:
            work.close()
            raise IntegrityError(f"{_WAITING_OFFERS} offers of {self.client} wait already")
        task = asyncio.create_task(work, name=f"flnb-offer-{self.client}")
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    async def serve(
        self,
        notes: AsyncIterator[pb.ClientNote],
        heard: Callable[[ClientSession, pb.ClientNote], Awaitable[None]],
    ) -> None:
        """Read and write notes until one side ends it.

        Raises:
            FLBaseError: What `heard` raised.
        """
        reading = asyncio.create_task(self._read(notes, heard), name=f"flnb-read-{self.client}")
        writing = asyncio.create_task(self._write(), name=f"flnb-write-{self.client}")
        over = asyncio.create_task(self._over.wait(), name=f"flnb-over-{self.client}")
        everything = {reading, writing, over}
        try:
            await asyncio.wait(everything, return_when=asyncio.FIRST_COMPLETED)
            if reading.done():
                reading.result()
            elif writing.done():
                writing.result()
        finally:
            everything |= self._tasks
            for task in everything:
                task.cancel()
            await asyncio.wait(everything)

    async def _read(
        self,
        notes: AsyncIterator[pb.ClientNote],
        heard: Callable[[ClientSession, pb.ClientNote], Awaitable[None]],
    ) -> None:
        async for note in notes:
            if not self.ending:
                await heard(self, note)

    async def _write(self) -> None:
        while (note := await self._notes.get()) is not None:
            await self._send(note)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a note of client %s could not be dealt with", self.client, exc_info=error)
            self._over.set()  # it waits for an answer: let it come again and offer anew
