"""Places for uploads: whoever sends nothing while others wait makes room.

Few updates are taken in at once, so that they share the disk in an order. A client that stands
still, because its line is dead or on purpose, would keep all others out for as long as a lease.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from flnb.core.errors import UnreachableError


class Uploading:
    """Some places.

    Args:
        places: Uploads that are taken in at once.
        still_s: How long one may send nothing while others wait.
    """

    def __init__(self, places: int, still_s: float) -> None:
        self._still_s = still_s
        self._free = asyncio.Semaphore(places)
        self._waiting = 0
        self._awaited: dict[asyncio.Timeout, float] = {}
        """Chunks that are waited for, with the moment at which they come too late."""

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """Have a place; waits for one, in order."""
        self._waiting += 1
        self._bound()
        try:
            await self._free.acquire()
        finally:
            self._waiting -= 1
            self._bound()
        try:
            yield
        finally:
            self._free.release()

    @asynccontextmanager
    async def chunk(self) -> AsyncIterator[None]:
        """Wait for a chunk, on a place.

        Raises:
            UnreachableError: Nothing came, and others wait.
        """
        late_s = asyncio.get_running_loop().time() + self._still_s
        try:
            async with asyncio.timeout(None) as awaited:
                self._awaited[awaited] = late_s
                if self._waiting:
                    awaited.reschedule(late_s)
                try:
                    yield
                finally:
                    del self._awaited[awaited]
        except TimeoutError:
            raise UnreachableError(
                f"nothing was sent for {self._still_s:g} s, and other uploads wait",
                hint="offer the update again",
            ) from None

    def _bound(self) -> None:
        """Let waiting for chunks end, or not."""
        for awaited, late_s in self._awaited.items():
            if not awaited.expired():
                awaited.reschedule(late_s if self._waiting else None)
