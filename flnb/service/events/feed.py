"""Keeps a hub filled: listens to the coordinator, again and again, from where it heard last."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging

from flnb.core.clock import SYSTEM_CLOCK
from flnb.core.errors import AccessRefusedError, FLBaseError
from flnb.core.jitter import about
from flnb.service.events.event import Event
from flnb.service.events.hub import Hub
from flnb.store import Cursor

log = logging.getLogger(__name__)

_FIRST_S, _MOST_S = 0.1, 2.0
"""Between two tries to hear the coordinator; the wait grows, and is drawn at random."""
_BACK = (1000, 500)
"""So many closings and operations of before are heard first: most who come back need no more."""


async def feed(hub: Hub) -> None:
    """Fill a hub for as long as the service runs.

    Args:
        hub: Of one role.
    """
    wait_s = _FIRST_S
    while True:
        token = hub.token
        try:
            after, all_there = await _first(hub)
            async with contextlib.aclosing(hub.hear(after)) as events:
                async for event in events:
                    if not hub.here:
                        _back(hub)
                    hub.take(event)
                    wait_s = _FIRST_S
                    if hub.ring.head.covers(all_there):
                        hub.ready.set()
            why = "the coordinator stops"
        except FLBaseError as error:
            if isinstance(error, AccessRefusedError) and hub.token != token:
                continue  # the service has newer tokens; the coordinator was there all the time
            why = error.message
        except Exception as error:  # it must not end in silence: nobody would hear anything more
            log.exception("what the coordinator tells cannot be read", extra={"role": hub.role})
            why = f"what it tells cannot be read ({type(error).__name__})"
        _gone(hub, why)
        # Without the jitter, both roles would come back in the same moment.
        await asyncio.sleep(about(wait_s))
        wait_s = min(_MOST_S, 2 * wait_s)


async def _first(hub: Hub) -> tuple[Cursor, Cursor]:
    """Where to begin, and where all is heard that there is now."""
    if hub.ready.is_set():
        return hub.ring.head, hub.ring.head
    now = (await hub.snapshot()).cursor
    closings, operations = _BACK
    back = Cursor(max(0, now.closing - closings), max(0, now.operation - operations), now.lab)
    hub.ring.begin(back)
    return back, now


def _back(hub: Hub) -> None:
    hub.here = True
    if hub.ready.is_set():
        log.info("the coordinator is back", extra={"role": hub.role})
        hub.tell(_said(hub, "coordinator_back", ""))


def _gone(hub: Hub, why: str) -> None:
    if hub.here:
        hub.here = False
        log.warning("the coordinator is gone: %s", why, extra={"role": hub.role})
        hub.tell(_said(hub, "coordinator_gone", why))


def _said(hub: Hub, kind: str, why: str) -> Event:
    data = json.dumps({"why": why, "at": SYSTEM_CLOCK.now().isoformat()})
    return Event.of(kind, "", data, hub.ring.head)
