"""Places for transfers: few while they fill the coordinator, more while they do not.

What has no place has not begun and costs nothing, however many wait. A few on quick lines fill disk and
processor; more would only lie in memory, where a message is two to three times while it goes over the
line, and nothing would arrive sooner. Those on slow lines must keep nobody waiting, so more begin while
all wait for their lines and together move little, and while more move more. How quick each one is says
nothing of its line: in a crowd that fills the coordinator all are slow. Those that move nothing, because
their line is dead or on purpose, keep nobody out for long: others begin beside them, whatever moves.
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
from flnb.transport.room import LOOK_S, Room

FEW = 2
"""Transfers at once, each way, that always have a place; of short ones as many as have the same chunks."""

_TELL_S = 5.0
"""Between two signs to a client that waits: it takes a line for dead after its lease of a minute or two."""


class Traffic:
    """What transfers have moved."""

    def __init__(self) -> None:
        self.n_bytes = 0


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
        self._traffic, self._own = traffic or Traffic(), Traffic()
        self._room = Room(few * BUNDLE_CHUNKS)
        self._next_look: asyncio.TimerHandle | None = None

    @asynccontextmanager
    async def place(
        self, chunks: int, tell: Callable[[], Awaitable[None]] | None = None
    ) -> AsyncIterator[Place]:
        """Have a place; waits for one, in order.

        Args:
            chunks: How many the transfer has.
            tell: Tells the other end that it waits and the line is alive; called now and then.
        """
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        place = Place(chunks, (self._traffic, self._own), self._still_s)
        self._waiting.append((place, turn))
        try:
            self._let_in()
            if tell is None:
                await turn
            else:
                await place.wait(turn, tell)
            self._many += 1
            yield place
        finally:
            place.leave()
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
        if self._waiting and self._next_look is None:
            self._look()

    def _has_room(self) -> bool:
        return len(self._taken) < self._most and self._held() < self._room.chunks

    def _held(self) -> int:
        return sum(place.held for place in self._taken)

    def _look(self) -> None:
        """While somebody waits, see now and then whether there is room for more."""
        self._next_look = None
        if not self._waiting:
            self._room.leave()
            return
        loop = asyncio.get_running_loop()
        if 2 * sum(place.at_work for place in self._taken) > len(self._taken):
            self._room.forget()  # most wait for the disk here: that tells nothing of lines
        self._room.look(loop.time(), self._traffic.n_bytes, self._own.n_bytes, self._held())
        self._next_look = loop.call_later(LOOK_S, self._look_and_let_in)

    def _look_and_let_in(self) -> None:
        self._look()
        self._let_in()


class Place:
    """What one transfer has.

    Args:
        chunks: How many it has.
        traffic: Where each message is counted that is over the line.
        still_s: How long nothing may come while others wait.
    """

    def __init__(self, chunks: int, traffic: tuple[Traffic, ...], still_s: float) -> None:
        self.held = min(chunks, BUNDLE_CHUNKS)
        """How many chunks a message of it may hold."""
        self._traffic, self._still_s = traffic, still_s
        self._pace = Pace()
        self.at_work = False
        """Whether it waits for this end now: what came is hashed, written or read."""
        self._told: asyncio.Future[None] | None = None
        """The last sign to the other end that it waits, which may not be over the line yet."""
        self._others_wait = False
        self._awaited: tuple[asyncio.Timeout, float] | None = None
        """The wait for a message, and the moment at which it has been too long."""

    @property
    def chunks(self) -> int:
        """How many chunks the next message should hold at most."""
        return self._pace.chunks

    async def wait(self, turn: asyncio.Future[None], tell: Callable[[], Awaitable[None]]) -> None:
        """Wait for its turn, and tell the other end; one that does not listen delays nothing."""
        while not (await asyncio.wait([turn], timeout=_TELL_S))[0]:
            if self._told is None or self._told.done():
                self._listened()
                self._told = asyncio.ensure_future(tell())

    def leave(self) -> None:
        """It is over."""
        if self._told is not None and not self._told.cancel():
            self._listened()

    def _listened(self) -> None:
        """Take note of how the last sign went: whoever hung up is no news."""
        if self._told is not None and not self._told.cancelled():
            self._told.exception()

    async def give(self, write: Callable[[], Awaitable[None]], chunks: int) -> None:
        """Send a message.

        Args:
            write: Does it.
            chunks: How many it holds.
        """
        with self._line(), self._pace.message(chunks):
            if self._told is not None:
                await self._told  # the line takes one message at a time
                self._told = None
            await write()
        self._count(chunks * CHUNK_BYTES)

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
        self._count(len(data or b""))
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
        self.at_work = False
        try:
            yield
        finally:
            self.at_work = True

    def _count(self, n_bytes: int) -> None:
        for traffic in self._traffic:
            traffic.n_bytes += n_bytes
