"""One listener: what waits to be sent to it, at most so much, and why it has to go."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Collection
from typing import Any

from flnb.service.events.event import ALWAYS, Event
from flnb.store import Cursor

NOT_NOW, TOKEN, FORBIDDEN = 1013, 4001, 4003
"""Codes with which a socket is closed: come back later; the token is not good, do not come back with it; the
role, or what was asked for, does not fit."""
_ROOM, _MOST_BYTES = 256, 2_000_000
_READS_S = 10.0
"""How long others wait for somebody who catches up and does not read."""
_PASSING = frozenset(["round_started", "round_update", "heartbeat"])
"""The next one of these says what the last one did."""


class Listener:
    """Somebody who listens, as one role.

    Args:
        most: Events that may wait; a listener that lets more wait is too slow.
        runs: Names of runs; only what is about them, or about no run, is told. Empty is all.
        types: Of events; empty is all.
    """

    def __init__(self, most: int, runs: Collection[str] = (), types: Collection[str] = ()) -> None:
        self._most, self._runs, self._types = most, frozenset(runs), frozenset(types)
        self._waiting: deque[Event] = deque()
        self._n_first, self._n_bytes = 0, 0
        self._more, self._room = asyncio.Event(), asyncio.Event()
        self._stands = Cursor(0, 0, "")
        self.ended: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        """Resolves with code and reason when it has to go."""

    @property
    def n_waiting(self) -> int:
        """Events that wait to be sent."""
        return len(self._waiting)

    def begin(self, events: Collection[Event], cursor: Cursor) -> None:
        """Let somebody who stands at a cursor hear these first, however many they are."""
        self._stands = cursor
        for event in events:
            if (told := self._told(event)) is not None:
                self._put(told)
        self._n_first = len(self._waiting)

    def clear(self) -> None:
        """Forget what waits: it begins anew."""
        self._waiting.clear()
        self._n_first = self._n_bytes = 0
        self._room.set()

    def offer(self, event: Event) -> None:
        """Let it hear an event, unless it heard it, or never reads."""
        if (told := self._told(event)) is None:
            return
        # What it asked for to begin with does not count: nobody has read that yet.
        n_waiting = len(self._waiting) - self._n_first
        if n_waiting >= self._most or (n_waiting and self._n_bytes > _MOST_BYTES):
            self.end(NOT_NOW, f"too slow: {n_waiting} events wait")
        elif event.kind not in _PASSING or n_waiting <= self._most // 2:
            self._put(told)

    def end(self, code: int, reason: str) -> None:
        """It has to go."""
        if not self.ended.done():
            self.ended.set_result((code, reason))

    def pong(self) -> None:
        """Answer that it is heard, in its turn."""
        if self._waiting and self._waiting[-1].kind == "pong":
            return  # one answer is enough to many questions
        self._put(Event.of("pong", "", "{}", self._stands))

    async def room(self) -> None:
        """Wait until little waits to be sent; who reads nothing meanwhile has to go."""
        while len(self._waiting) > _ROOM:
            self._room.clear()
            try:
                async with asyncio.timeout(_READS_S):
                    await self._room.wait()
            except TimeoutError:
                self.end(NOT_NOW, f"too slow: {len(self._waiting)} events wait")
                return

    async def next(self) -> Event:
        """The next event to send."""
        while not self._waiting:
            self._more.clear()
            await self._more.wait()
        event = self._waiting.popleft()
        self._n_first = max(0, self._n_first - 1)
        self._n_bytes -= len(event.text)
        if len(self._waiting) <= _ROOM:
            self._room.set()
        return event

    def _put(self, event: Event) -> None:
        self._waiting.append(event)
        self._n_bytes += len(event.text)
        self._more.set()

    def _told(self, event: Event) -> Event | None:
        """An event as this listener hears it; None if it does not."""
        if event.durable:
            if not event.is_after(self._stands):
                return None
            event = event.seen_from(self._stands)
            self._stands = event.cursor
        elif event.kind == "heartbeat":
            event = event.seen_from(self._stands)
        elif event.kind == "snapshot":
            self._stands = event.cursor
        if event.kind in ALWAYS:
            return event
        wanted = not self._runs or not event.run or event.run in self._runs
        return event if wanted and (not self._types or event.kind in self._types) else None
