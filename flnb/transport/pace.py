"""How quick the line of a transfer is, by the messages that went over it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from flnb.transport.manifest import BUNDLE_CHUNKS

_CHUNK_S = 0.0125
"""A line is slow if a chunk takes longer: below 20 MB/s, or an upload whose round trip takes so long."""
_FORGET = 0.8
"""What is left of a slow message after a quick one; a buffer takes one in quickly on any line."""


class Pace:
    """How one of many transfers moves.

    Args:
        when_late: Called when a message takes as long as on a slow line, and is not over yet.
    """

    def __init__(self, when_late: Callable[[], None] = lambda: None) -> None:
        self._when_late = when_late
        self._late = False
        """Whether a message is on its way that takes that long."""
        self._chunk_s = 0.0

    @property
    def slow(self) -> bool:
        """Whether its messages go over the line slowly."""
        return self._late or self._chunk_s > _CHUNK_S

    @property
    def chunks(self) -> int:
        """How many chunks the next message should hold at most."""
        return 1 if self.slow else BUNDLE_CHUNKS

    @contextmanager
    def message(self) -> Iterator[Message]:
        """One message goes over the line."""
        loop = asyncio.get_running_loop()
        late = loop.call_later(_CHUNK_S * BUNDLE_CHUNKS, self._is_late)
        try:
            yield Message(self, loop.time())
        finally:
            late.cancel()
            self._late = False

    def took(self, chunks: int, seconds: float) -> None:
        """A message with so many chunks went over the line."""
        self._chunk_s = max(seconds / chunks, _FORGET * self._chunk_s)

    def _is_late(self) -> None:
        self._late = True
        self._when_late()


class Message:
    """One message of a transfer, from the moment at which it may go over the line."""

    def __init__(self, pace: Pace, began_s: float) -> None:
        self._pace, self._began_s = pace, began_s

    def over_the_line(self, chunks: int) -> None:
        """So many chunks are over."""
        self._pace.took(chunks, asyncio.get_running_loop().time() - self._began_s)
