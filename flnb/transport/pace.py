"""How quick a transfer is; those of versions take turns, so that what is under way does not grow.

A message lies in memory two to three times while it goes over the line. Were all to move at once,
a crowd on quick lines would fill the memory with them, and nothing would arrive sooner. A transfer
over a slow line, or a long one, must keep nobody waiting: it loses its turn, and from then on it
moves by itself, in small messages.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from flnb.transport.manifest import BUNDLE_CHUNKS

TURNS = 4
"""Messages under way each way, those of slow lines not counted."""
_CHUNK_S = 0.0125
"""A line is slow if a chunk takes longer: below 20 MB/s, or an upload whose round trip takes so long."""
_FORGET = 0.8
"""What is left of a slow message after a quick one; a buffer takes one in quickly on any line."""


class Pace:
    """How one of many transfers moves.

    Args:
        turns: Those of all transfers that go the same way; without them it only says how large
            messages should be.
        when_late: Called when a message takes as long as on a slow line, and is not over yet.
    """

    def __init__(
        self,
        turns: asyncio.Semaphore | None = None,
        when_late: Callable[[], None] = lambda: None,
    ) -> None:
        self._turns, self.when_late = turns, when_late
        self.late = False
        """Whether a message is on its way that takes that long."""
        self._chunk_s = 0.0

    @property
    def slow(self) -> bool:
        """Whether its messages go over the line slowly."""
        return self.late or self._chunk_s > _CHUNK_S

    @property
    def chunks(self) -> int:
        """How many chunks the next message should hold at most."""
        return 1 if self.slow else BUNDLE_CHUNKS

    @asynccontextmanager
    async def message(self) -> AsyncIterator[Turn]:
        """Have a turn for one message; a slow line has it at once and keeps nobody waiting."""
        turns = None if self.slow else self._turns
        if turns is not None:
            await turns.acquire()
        turn = Turn(self, turns)
        try:
            yield turn
        finally:
            turn.end()

    def took(self, chunks: int, seconds: float) -> None:
        """A message with so many chunks went over the line."""
        self._chunk_s = max(seconds / chunks, _FORGET * self._chunk_s)


class Turn:
    """One message of a transfer, from the moment at which it may go over the line.

    Args:
        pace: Of its transfer.
        turns: What is given back; None if nothing was taken.
    """

    def __init__(self, pace: Pace, turns: asyncio.Semaphore | None) -> None:
        self._pace, self._turns = pace, turns
        loop = asyncio.get_running_loop()
        self._began_s = loop.time()
        self._late = loop.call_later(_CHUNK_S * BUNDLE_CHUNKS, self._is_late)

    def over_the_line(self, chunks: int) -> None:
        """So many chunks are over; how much longer the turn takes is no fault of the line."""
        self._late.cancel()
        self._pace.took(chunks, asyncio.get_running_loop().time() - self._began_s)

    def end(self) -> None:
        """Let somebody else have the turn; does nothing the second time."""
        self._late.cancel()
        self._pace.late = False
        self._give_back()

    def _is_late(self) -> None:
        self._pace.late = True
        self._give_back()
        self._pace.when_late()

    def _give_back(self) -> None:
        turns, self._turns = self._turns, None
        if turns is not None:
            turns.release()
