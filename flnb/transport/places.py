"""Places for transfers: few on quick lines at once, more on slow ones, and none for those that stand still.

What has no place has not begun and costs nothing, however many wait. Few on quick lines fill disk and
processor; more would only lie in memory, where a message is two to three times while it goes over the
line, and nothing would arrive sooner. One on a slow line must keep nobody waiting, so others begin
beside it. A client that stands still, because its line is dead or on purpose, would keep all others
out for as long as a lease: its place is theirs.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from flnb.core.errors import UnreachableError
from flnb.transport.manifest import CHUNK_BYTES
from flnb.transport.pace import Pace

QUICK = 4
"""Transfers on quick lines at once, each way."""


class Places:
    """The transfers of one server that go the same way.

    Args:
        most: How many have a place at once.
        still_s: How long one may send nothing while others wait.
        quick: Of those with a place, so many on quick lines.
        patience_s: Who has waited for so long begins all the same.
        when_left: Called when one has left, with how many have had a place since there was none.
    """

    def __init__(
        self,
        most: float = math.inf,
        *,
        still_s: float = math.inf,
        quick: int = QUICK,
        patience_s: float = math.inf,
        when_left: Callable[[int], None] = lambda _many: None,
    ) -> None:
        self._most, self._quick = most, quick
        self._still_s, self._patience_s = still_s, patience_s
        self._when_left, self._many = when_left, 0
        self._taken: set[Place] = set()
        self._waiting: deque[tuple[Place, asyncio.Future[None]]] = deque()

    @asynccontextmanager
    async def place(self) -> AsyncIterator[Place]:
        """Have a place; waits for one, in order."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        place = Place(self._moved, self._still_s)
        self._waiting.append((place, turn))
        try:
            self._moved()
            await self._turn_of(place, turn)
            self._many += 1
            yield place
        finally:
            self._taken.discard(place)
            if (place, turn) in self._waiting:
                self._waiting.remove((place, turn))
            self._moved()
            self._when_left(self._many)
            if not self._taken:
                self._many = 0

    async def _turn_of(self, place: Place, turn: asyncio.Future[None]) -> None:
        if turn.done() or math.isinf(self._patience_s):
            await turn
            return
        await asyncio.wait([turn], timeout=self._patience_s)
        if not turn.done():
            self._waiting.remove((place, turn))
            self._taken.add(place)

    def _moved(self) -> None:
        """Something may have made room: let those in who come first, and bound the others."""
        while self._waiting and self._has_room():
            place, turn = self._waiting.popleft()
            if not turn.done():  # whoever has just hung up leaves the line a moment later
                self._taken.add(place)
                turn.set_result(None)
        for place in self._taken:
            place.bound(bool(self._waiting))

    def _has_room(self) -> bool:
        quick = sum(place.quick for place in self._taken)
        return len(self._taken) < self._most and quick < self._quick


class Place:
    """What one transfer has.

    Args:
        moved: Called when its line turns out to be slow.
        still_s: How long nothing may come while others wait.
    """

    def __init__(self, moved: Callable[[], None], still_s: float) -> None:
        self._moved, self._still_s = moved, still_s
        self._pace = Pace(when_late=moved)
        self._others_wait = False
        self._awaited: tuple[asyncio.Timeout, float] | None = None
        """The wait for a message, and the moment at which it has been too long."""

    @property
    def quick(self) -> bool:
        """Whether its line is, as far as that is known."""
        return not self._pace.slow

    @property
    def chunks(self) -> int:
        """How many chunks the next message should hold at most."""
        return self._pace.chunks

    async def give(self, writing: Awaitable[None], chunks: int) -> None:
        """Send a message.

        Args:
            writing: Does it.
            chunks: How many it holds.
        """
        with self._pace.message() as message:
            await writing
            message.over_the_line(chunks)
        self._look_again()

    async def receive(self, read: Callable[[], Awaitable[bytes | None]]) -> bytes | None:
        """Wait for a message, however long while nobody else waits for a place.

        Args:
            read: Gives it; None says that there are no more.

        Raises:
            UnreachableError: Nothing came, and others wait.
        """
        too_late_s = asyncio.get_running_loop().time() + self._still_s
        try:
            async with asyncio.timeout(None) as awaited:
                self._awaited = awaited, too_late_s
                self.bound(self._others_wait)
                with self._pace.message() as message:
                    data = await read()
                    if data:
                        message.over_the_line(-(-len(data) // CHUNK_BYTES))
        except TimeoutError:
            raise UnreachableError(
                f"nothing was sent for {self._still_s:g} s, and other uploads wait",
                hint="offer the update again",
            ) from None
        finally:
            self._awaited = None
        self._look_again()
        return data

    def bound(self, others_wait: bool) -> None:
        """Let waiting for a message end, or not."""
        self._others_wait = others_wait
        if self._awaited is not None:
            awaited, too_late_s = self._awaited
            if not awaited.expired():
                awaited.reschedule(too_late_s if others_wait else None)

    def _look_again(self) -> None:
        if not self.quick:
            self._moved()
