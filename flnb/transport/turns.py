"""Taking turns at something of which there is little, so that nobody alone keeps all others waiting."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from weakref import WeakValueDictionary


class Turns:
    """Lets so many go at once, and so many of one caller; others wait, the first ones first.

    Args:
        at_once: Of all.
        of_one: Of one caller; by default as many as of all.
    """

    def __init__(self, at_once: int, of_one: int | None = None) -> None:
        self._all, self._of_one = asyncio.Semaphore(at_once), of_one or at_once
        self._mine: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()
        """Of those who wait or are at it."""
        self.n_waiting = 0

    @contextlib.asynccontextmanager
    async def turn(self, caller: str) -> AsyncIterator[None]:
        """Wait until it is somebody's turn."""
        mine = self._mine.get(caller)
        if mine is None:
            mine = self._mine[caller] = asyncio.Semaphore(self._of_one)
        waits = True
        self.n_waiting += 1
        try:
            async with mine, self._all:
                self.n_waiting, waits = self.n_waiting - 1, False
                yield
        finally:
            self.n_waiting -= waits
