"""Turns of transfers: between two of their messages everybody else is heard.

A message of a transfer costs the loop as much as fifty other calls, for it is a megabyte that is
copied. Were all that are ready dealt with in one go, a call that comes meanwhile would wait for all of
them, and again for each step of its own. So a few of them at most have their turn each time the loop
goes round. A client on a slow line does not wait here, but for its line.
"""

from __future__ import annotations

import asyncio
from collections import deque


class Turns:
    """Turns on one loop.

    Args:
        at_once: Messages that are dealt with each time the loop goes round.
    """

    def __init__(self, at_once: int) -> None:
        self._at_once = self._left = at_once
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._goes_round = False

    async def next(self) -> None:
        """Wait for a turn; they are given in order."""
        loop = asyncio.get_running_loop()
        if not self._goes_round:
            self._goes_round = True
            loop.call_soon(self._begin, loop)
        if self._left > 0:
            self._left -= 1
            return
        turn: asyncio.Future[None] = loop.create_future()
        self._waiting.append(turn)
        await turn

    def _begin(self, loop: asyncio.AbstractEventLoop) -> None:
        """The loop has gone round: so many have their turn now, and the others next time."""
        self._left = self._at_once
        while self._waiting and self._left > 0:
            turn = self._waiting.popleft()
            if not turn.done():  # else its transfer was ended
                turn.set_result(None)
                self._left -= 1
        self._goes_round = self._left < self._at_once or bool(self._waiting)
        if self._goes_round:
            loop.call_soon(self._begin, loop)
