"""Places for transfers: few while they fill the coordinator, more while they do not.

What has no place has not begun and costs nothing, however many wait. A few on quick lines fill disk and
processor; more would only lie in memory, where a message is two to three times while it goes over the
line, and nothing would arrive sooner. Those on slow lines must keep nobody waiting, so more begin while
all together wait for their lines and move little, or while more move more. A client that stands still while others wait, because
its line is dead or on purpose, loses its place. How quick each one is says nothing of its line: in a
crowd that fills the coordinator all are slow.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

from flnb.core.errors import UnreachableError
from flnb.transport.manifest import BUNDLE_CHUNKS, CHUNK_BYTES
from flnb.transport.pace import Pace

FEW = 2
"""Transfers at once, each way, that always have a place; of short ones as many as have the same chunks."""

_LITTLE_BYTES_PER_S = 80e6
"""If all together move less, there is room for others: two thirds of a line of 1 Gbit/s."""
_HELPED = 1.3
"""Others helped if with twice as many so much more is moved."""
_LOOK_S = 0.25
_TELL_S = 5.0
_LOOKS = 3
"""What is moved is told from so many looks: one alone may fall into a moment in which the disk was busy."""


class Places:
    """The transfers of one server that go the same way.

    Args:
        most: How many have a place at once.
        still_s: How long one may send nothing while others wait.
        few: How many have a place however much is moved.
        traffic: What all transfers of the server move, both ways: they share its disk and processor.
        when_left: Called when one has left, with how many have had a place since there was none.
    """

    def __init__(
        self,
        most: float = math.inf,
        *,
        still_s: float = math.inf,
        few: int = FEW,
        traffic: Traffic | None = None,
        when_left: Callable[[int], None] = lambda _many: None,
    ) -> None:
        self._most, self._still_s = most, still_s
        self._when_left, self._many = when_left, 0
        self._taken: set[Place] = set()
        self._waiting: deque[tuple[Place, asyncio.Future[None]]] = deque()
        self._traffic = traffic or Traffic()
        self._room = Room(few * BUNDLE_CHUNKS)
        self._looking: asyncio.TimerHandle | None = None

    @asynccontextmanager
    async def place(
        self, chunks: int, waits: Callable[[], Awaitable[None]] | None = None
    ) -> AsyncIterator[Place]:
        """Have a place; waits for one, in order.

        Args:
            chunks: How many the transfer has.
            waits: Tells the other end now and then that it waits and the line is alive.
        """
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        place = Place(chunks, self._traffic, self._still_s)
        self._waiting.append((place, turn))
        try:
            self._let_in()
            while waits and not (await asyncio.wait([turn], timeout=_TELL_S))[0]:
                await waits()
            await turn
            self._many += 1
            yield place
        finally:
            self._taken.discard(place)
            if (place, turn) in self._waiting:
                self._waiting.remove((place, turn))
            self._let_in()
            self._when_left(self._many)
            if not self._taken:
                self._many = 0

    def _let_in(self) -> None:
        """Let those in who come first while there is room, and bound the others."""
        while self._waiting and self._has_room():
            place, turn = self._waiting.popleft()
            if not turn.done():  # whoever has just hung up leaves the line a moment later
                self._taken.add(place)
                turn.set_result(None)
        for place in self._taken:
            place.bound(bool(self._waiting))
        if self._waiting and self._looking is None:
            self._room.empty()
            self._look_again()

    def _has_room(self) -> bool:
        return len(self._taken) < self._most and self._held() < self._room.chunks

    def _held(self) -> int:
        return sum(place.held for place in self._taken)

    def _look_again(self) -> None:
        """While somebody waits, look now and then whether there is room for more."""
        loop = asyncio.get_running_loop()
        on_line = sum(place.on_line for place in self._taken)
        if 2 * on_line < len(self._taken):  # most wait for the disk here
            self._room.look_anew()
        self._room.look(loop.time(), self._traffic.n_bytes, self._held())
        self._looking = loop.call_later(_LOOK_S, self._looked)

    def _looked(self) -> None:
        self._looking = None
        if self._waiting:
            self._look_again()
            self._let_in()


class Traffic:
    """What transfers have moved."""

    def __init__(self) -> None:
        self.n_bytes = 0


class Room:
    """How many chunks there may be in messages at once.

    Args:
        few: At least so many.
    """

    def __init__(self, few: int) -> None:
        self._few = self.chunks = few
        self._looks: deque[tuple[float, int]] = deque(maxlen=_LOOKS)
        self._before: float | None = None
        """What was moved in a second before there was more room, if that was just now."""

    def empty(self) -> None:
        """Nobody has waited."""
        self.look_anew()
        self.chunks, self._before = self._few, None

    def look_anew(self) -> None:
        """What was moved until now tells nothing of lines."""
        self._looks.clear()

    def look(self, at_s: float, moved: int, held: int) -> None:
        """Make room for as many more, or for no more.

        Args:
            at_s: When.
            moved: Bytes until now.
            held: Chunks for which there is no room now.
        """
        if self._looks and at_s - self._looks[-1][0] > 2 * _LOOK_S:
            self.look_anew()  # this process stood still
        self._looks.append((at_s, moved))
        if len(self._looks) < _LOOKS:
            return
        (began_s, began), before = self._looks[0], self._before
        per_s = (moved - began) / (at_s - began_s)
        if per_s < _LITTLE_BYTES_PER_S or (before is not None and per_s > _HELPED * before):
            self.chunks, self._before = max(self._few, 2 * held), per_s
        elif before is not None:
            self.chunks, self._before = max(self._few, self.chunks // 2), None
        else:
            return
        self.look_anew()
        self._looks.append((at_s, moved))


class Place:
    """What one transfer has.

    Args:
        chunks: How many it has.
        traffic: Where each message is counted that is over the line.
        still_s: How long nothing may come while others wait.
    """

    def __init__(self, chunks: int, traffic: Traffic, still_s: float) -> None:
        self.held = min(chunks, BUNDLE_CHUNKS)
        """Chunks of it that are in memory at once."""
        self._traffic, self._still_s = traffic, still_s
        self._pace = Pace()
        self.on_line = False
        """Whether it waits for the other end now."""
        self._others_wait = False
        self._awaited: tuple[asyncio.Timeout, float] | None = None
        """The wait for a message, and the moment at which it has been too long."""

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
        with self._pace.message(chunks), self._line():
            await writing
        self._traffic.n_bytes += chunks * CHUNK_BYTES

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
                with self._line():
                    data = await read()
        except TimeoutError:
            raise UnreachableError(
                f"nothing was sent for {self._still_s:g} s, and other uploads wait",
                hint="offer the update again",
            ) from None
        finally:
            self._awaited = None
        self._traffic.n_bytes += len(data or b"")
        return data

    def bound(self, others_wait: bool) -> None:
        """Let waiting for a message end, or not."""
        self._others_wait = others_wait
        if self._awaited is not None:
            awaited, too_late_s = self._awaited
            if not awaited.expired():
                awaited.reschedule(too_late_s if others_wait else None)

    @contextmanager
    def _line(self) -> Iterator[None]:
        self.on_line = True
        try:
            yield
        finally:
            self.on_line = False
