"""How quick the line of a transfer is, by the messages that went over it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from flnb.transport.manifest import BUNDLE_CHUNKS

_CHUNK_S = 0.0125
"""A line is slow if a chunk takes longer: below 20 MB/s, or an upload whose round trip takes so long."""
_FORGET = 0.8
"""What is left of a slow message after a quick one; a buffer takes one in quickly on any line."""
_DOUBTED_S = 0.05
"""Seven quick messages make up for this. gRPC and the kernel take in less of an upload, 1.2 MB."""


class Pace:
    """How one of many transfers moves.

    Args:
        doubted: Whether the line is taken for slow until messages go over it quickly, more of them than
            buffers take in: on a line that is, a first message of several chunks would take so long that
            the other end gives it up, and so would the first one of each further try.
    """

    def __init__(self, *, doubted: bool = False) -> None:
        self._chunk_s = _DOUBTED_S if doubted else 0.0

    @property
    def slow(self) -> bool:
        """Whether its messages go over the line slowly."""
        return self._chunk_s > _CHUNK_S

    @property
    def chunks(self) -> int:
        """How many chunks the next message should hold at most."""
        return 1 if self.slow else BUNDLE_CHUNKS

    @contextmanager
    def message(self, chunks: int) -> Iterator[None]:
        """A message with so many chunks goes over the line."""
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        yield
        self.took(chunks, loop.time() - began_s)

    def took(self, chunks: int, seconds: float) -> None:
        """A message with so many chunks went over the line."""
        self._chunk_s = max(seconds / chunks, _FORGET * self._chunk_s)
