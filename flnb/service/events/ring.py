"""The last durable events of a role, so that most who come back need no question to the coordinator."""

from __future__ import annotations

from collections import deque

from flnb.service.events.event import Event
from flnb.store import Cursor


class Ring:
    """Keeps so many events.

    Args:
        most: How many.
    """

    def __init__(self, most: int) -> None:
        self._events: deque[Event] = deque()
        self._most = most
        self.base = self.head = Cursor(0, 0, "")
        """What is after `base` and not after `head` is here, all of it."""

    def __len__(self) -> int:
        return len(self._events)

    def begin(self, at: Cursor) -> None:
        """Forget everything; the next event is the first one after this cursor."""
        self._events.clear()
        self.base = self.head = at

    def add(self, event: Event) -> None:
        """Keep an event, and let the oldest go if there is no room."""
        self._events.append(event)
        self.head = event.cursor
        if len(self._events) > self._most:
            self.base = self._events.popleft().cursor

    def reaches(self, cursor: Cursor) -> bool:
        """Whether everything after a cursor is here."""
        return cursor.covers(self.base)

    def after(self, cursor: Cursor) -> list[Event]:
        """What somebody who stands there has not heard, in order."""
        return [event for event in self._events if event.is_after(cursor)]
