"""Turns to be listened to by whoever is not known yet: who says nothing makes room for the next.

Messages of strangers are read a few at a time, so that they fill no memory. Who calls and says
nothing could hold all of these turns; so the one who has waited longest loses his to a newcomer.
An honest client says what it wants with the call itself, and needs its turn for milliseconds.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from flnb.core.errors import UnreachableError


class Listening:
    """Some turns.

    Args:
        turns: How many are listened to at once.
    """

    def __init__(self, turns: int) -> None:
        self._turns = turns
        self._open: dict[object, asyncio.Timeout] = {}

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Be listened to.

        Raises:
            UnreachableError: Somebody else has this turn now.
        """
        me = object()
        try:
            async with asyncio.timeout(None) as turn:
                while len(self._open) >= self._turns:
                    self._end_oldest()
                self._open[me] = turn
                yield
        except TimeoutError:
            raise UnreachableError(
                f"nothing was said, and more than {self._turns} others have come since",
                hint="try again",
            ) from None
        finally:
            self._open.pop(me, None)

    def _end_oldest(self) -> None:
        oldest = next(iter(self._open))
        self._open.pop(oldest).reschedule(asyncio.get_running_loop().time())
