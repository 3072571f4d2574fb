"""Tells other processes, through the lab's state, that a run waits for clients."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from flnb.core.view import RunView, Status

SETTLES_S = 0.25
"""So long a run must wait before that is written, and so long between two writings: clients come by
the thousand, and whoever follows a run looks no more often."""
Waits = Mapping[str, int] | None
Write = Callable[[Status, Waits], Awaitable[None]]


class Waiting:
    """What a run waits for, as it is written down; used on the coordinator's loop.

    Args:
        write: Writes how the run stands.
    """

    def __init__(self, write: Write) -> None:
        self._write = write
        self._now: Waits = None
        self._written: Waits = None
        self._writing: asyncio.Task[None] | None = None

    def look(self, view: RunView) -> None:
        """See what a run waits for now; what changed is written in a moment."""
        waits = {"awaited": view.awaited, "here": view.here}
        self._now = waits if view.awaits else None
        if self._now != self._written and self._writing is None:
            self._writing = asyncio.create_task(self._follow(), name="flnb-waiting")

    async def end(self) -> None:
        """Write nothing more: the run comes to its rest, and that is written."""
        if self._writing is not None:
            self._writing.cancel()
            await asyncio.wait({self._writing})

    async def _follow(self) -> None:
        try:
            await asyncio.sleep(SETTLES_S)
            while self._now != self._written:
                waits = self._now
                await self._write(Status.WAITING if waits else Status.RUNNING, waits)
                self._written = waits
                await asyncio.sleep(SETTLES_S)
        finally:
            self._writing = None
