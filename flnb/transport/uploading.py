"""Places for uploads: few on quick lines at once, more on slow ones, and none for those that stand still.

An upload that has no place is not told to begin, so it costs nothing, however many wait. Few on quick
lines fill disk and processor; more would only lie in memory. One on a slow line must keep nobody
waiting, so others begin beside it. A client that stands still, because its line is dead or on purpose,
would keep all others out for as long as a lease: its place is theirs.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from flnb.core.errors import UnreachableError
from flnb.transport.manifest import CHUNK_BYTES
from flnb.transport.pace import TURNS, Pace


class Uploading:
    """The uploads of one server.

    Args:
        places: Uploads that are taken in at once.
        still_s: How long one may send nothing while others wait.
        quick: Of these, so many on quick lines.
    """

    def __init__(self, places: int, still_s: float, quick: int = TURNS) -> None:
        self._places, self._quick, self._still_s = places, quick, still_s
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
            await turn
            yield place
        finally:
            self._taken.discard(place)
            if not turn.done() or turn.cancelled():
                self._waiting.remove((place, turn))
            self._moved()

    def _moved(self) -> None:
        """Something may have made room: let those in who come first, and bound the others."""
        while self._waiting and self._has_room():
            place, turn = self._waiting.popleft()
            self._taken.add(place)
            turn.set_result(None)
        for place in self._taken:
            place.bound(bool(self._waiting))

    def _has_room(self) -> bool:
        quick = sum(place.quick for place in self._taken)
        return len(self._taken) < self._places and quick < self._quick


class Place:
    """What one upload has.

    Args:
        moved: Called when its line turns out to be slow.
        still_s: How long it may send nothing while others wait.
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

    async def receive(self, read: Callable[[], Awaitable[bytes | None]]) -> bytes | None:
        """Wait for a message, however long while nobody else waits for a place.

        Args:
            read: Gives it; None says that there are no more.

        Raises:
            UnreachableError: Nothing came, and others wait.
        """
        too_late_s = asyncio.get_running_loop().time() + self._still_s
        try:
            async with asyncio.timeout(None) as awaited, self._pace.message() as turn:
                self._awaited = awaited, too_late_s
                self.bound(self._others_wait)
                data = await read()
                if data:
                    turn.over_the_line(-(-len(data) // CHUNK_BYTES))
        except TimeoutError:
            raise UnreachableError(
                f"nothing was sent for {self._still_s:g} s, and other uploads wait",
                hint="offer the update again",
            ) from None
        finally:
            self._awaited = None
        if not self.quick:
            self._moved()
        return data

    def bound(self, others_wait: bool) -> None:
        """Let waiting for a message end, or not."""
        self._others_wait = others_wait
        if self._awaited is not None:
            awaited, too_late_s = self._awaited
            if not awaited.expired():
                awaited.reschedule(too_late_s if others_wait else None)
