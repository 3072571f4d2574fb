"""What one role hears: the sequence of durable events, how things stand now, and who listens.

A listener begins with a snapshot and hears what comes after it, or comes back with a cursor and hears what
comes after that: from the ring, or, if that does not reach so far, from the coordinator. Between the last
thing that it is told so and the first live event nothing is awaited, so that nothing comes between them.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable

from flnb import __version__
from flnb.core.clock import SYSTEM_CLOCK
from flnb.core.errors import PlanError, UnreachableError
from flnb.service.events.event import Event
from flnb.service.events.listeners import Listener
from flnb.service.events.ring import Ring
from flnb.service.gateway import Gateway
from flnb.store import Cursor
from flnb.transport import PROTOCOL
from flnb.transport.v1 import control_pb2 as pb

_KEPT = 2000
_FRESH_S = 0.5
"""So old a snapshot may be: many who come at once get the same one."""
_READY_S = 20.0
_CATCHING_UP = 2
"""Listeners for whom the coordinator is asked at once; others wait."""


class Hub:
    """One role's listeners.

    Args:
        gateway: The way to the coordinator.
        role: Of the service's own token that is used: `viewer` or `operator`.
    """

    def __init__(self, gateway: Gateway, role: str) -> None:
        self._gateway, self.role = gateway, role
        self.listeners: set[Listener] = set()
        self.ring = Ring(_KEPT)
        self.here = False
        """Whether the coordinator is heard."""
        self.ready = asyncio.Event()
        """Set once the ring has all up to now."""
        self.on_event: Callable[[Event], None] | None = None
        """Called with what happens from now on, once for all listeners."""
        self.dropped = 0
        """Listeners that were too slow, so far."""
        self._newest: dict[tuple[str, str], tuple[float, Event]] = {}
        """How each thing stands, and when that was heard."""
        self._snapshot: tuple[float, Event] | None = None
        self._looking, self._asking = asyncio.Lock(), asyncio.Semaphore(_CATCHING_UP)

    @property
    def token(self) -> str:
        """The service's own of this role; another one every few hours."""
        return self._gateway.operator if self.role == "operator" else self._gateway.viewer

    # --- from the coordinator -------------------------------------------------------------------

    async def hear(self, after: Cursor | None) -> AsyncGenerator[Event, None]:
        """Listen to the coordinator with the service's own token of this role.

        Args:
            after: What is durable after it comes first; None begins with a snapshot.

        Raises:
            FLBaseError: The coordinator refuses, or is gone.
        """
        request = pb.EventsRequest(protocol=PROTOCOL, version=__version__)
        request.after = after.text if after is not None else ""
        parts = self._gateway.listen(self.token, "Events", request)
        async with contextlib.aclosing(parts):
            async for raw in parts:
                yield Event.heard(pb.EventNote.FromString(raw))

    def take(self, event: Event) -> None:
        """Pass on what the coordinator told."""
        if event.kind == "snapshot":  # what was known is of another course of things
            self.ring.begin(event.cursor)
            self._newest.clear()
        elif event.durable:
            self.ring.add(event)
            self._forget_round(event)
        elif event.kind == "heartbeat":
            return  # listeners have one of the service's own
        elif (subject := event.subject) is not None:
            self._newest[subject] = SYSTEM_CLOCK.monotonic_s(), event
            self._forget_round(event)
        if self.on_event is not None and self.ready.is_set():
            self.on_event(event)
        self.tell(event)

    def _forget_round(self, event: Event) -> None:
        """Who joins later must not hear of a round as open that is closed, or was given up."""
        open_round = self._newest.get(("round", event.run))
        if open_round is not None and event.ends(open_round[1]):
            del self._newest[("round", event.run)]

    def tell(self, event: Event) -> None:
        """Let all listeners hear an event."""
        for listener in self.listeners:
            listener.offer(event)

    # --- for listeners --------------------------------------------------------------------------

    async def join(self, listener: Listener, after: str) -> None:
        """Let somebody hear what comes after a cursor, or how all stands and what comes then.

        Args:
            listener: Whose queue is sent meanwhile.
            after: Its cursor; empty is none. For one that means nothing here there is a snapshot, that
                says why.

        Raises:
            FLBaseError: The coordinator must be asked, and refuses or is gone.
        """
        await self._all_there()
        cursor, why = await self._standing(after)
        since_s = 0.0
        if cursor is None:
            # It was made for another, perhaps, and shows what was heard before it, closed rounds as closed.
            since_s, snapshot = await self._looked()
            if why:
                snapshot = snapshot.changed(reset=True, why=why)
            listener.begin([snapshot], snapshot.cursor)
            cursor = snapshot.cursor
        else:
            listener.begin([], cursor)
        if not self.ring.reaches(cursor):
            cursor = await self._catch_up(listener, cursor)
        stands = [event for heard_s, event in self._newest.values() if heard_s >= since_s]
        listener.begin([*self.ring.after(cursor), *stands], cursor)
        self.listeners.add(listener)

    def leave(self, listener: Listener) -> None:
        """Somebody listens no more."""
        self.listeners.discard(listener)

    async def snapshot(self) -> Event:
        """How all stands, as this role may see it.

        Raises:
            FLBaseError: The coordinator refuses, or is gone.
        """
        return (await self._looked())[1]

    async def _looked(self) -> tuple[float, Event]:
        """A snapshot, and since when there may be things that it does not show."""
        asked_s = SYSTEM_CLOCK.monotonic_s()
        async with self._looking:
            # Who waited while one was made takes it, however long that took: else each makes its own.
            if self._snapshot is None or self._snapshot[0] < asked_s - _FRESH_S:
                began_s = SYSTEM_CLOCK.monotonic_s()
                async with contextlib.aclosing(self.hear(None)) as events:
                    self._snapshot = began_s, await anext(events)
            return self._snapshot

    async def _all_there(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_READY_S):
                await self.ready.wait()
                return
        raise UnreachableError("the coordinator is not there", hint="try again in a moment")

    async def _standing(self, after: str) -> tuple[Cursor | None, str]:
        """Where somebody stands, or why a cursor cannot say that."""
        if not after:
            return None, ""
        try:
            cursor = Cursor.parse(after)
        except PlanError as error:
            return None, error.message
        if cursor.lab != self.ring.head.lab:
            return None, "the cursor is of another lab"
        if not self.ring.head.covers(cursor):
            # It may come from a service that was ahead of this one by a moment.
            newest = (await self.snapshot()).cursor
            if not newest.covers(cursor):
                return None, f"the cursor is ahead of this lab, which is at {newest.text}"
        return cursor, ""

    async def _catch_up(self, listener: Listener, cursor: Cursor) -> Cursor:
        """Ask the coordinator until the ring reaches as far back."""
        async with self._asking, contextlib.aclosing(self.hear(cursor)) as events:
            async for event in events:
                if event.durable:
                    listener.begin([event], cursor)
                    cursor = event.cursor
                if self.ring.reaches(cursor):
                    return cursor
                await listener.room()
        raise UnreachableError("the coordinator stops")
