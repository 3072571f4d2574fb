"""Events in a `for` loop: the same that the listeners of a service hear, and from the same place."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import AsyncGenerator, Generator, Iterator, Mapping
from concurrent.futures import CancelledError
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flnb import __version__
from flnb.coordinator.loop import LoopThread
from flnb.core.errors import (
    RoundStateError,
    TokenExpiredError,
    TooManyCallsError,
    UnreachableError,
)
from flnb.transport import PROTOCOL
from flnb.transport.v1 import control_pb2 as pb

if TYPE_CHECKING:
    from flnb.coordinator.control.wire import Wire

Notes = AsyncGenerator[pb.EventNote, None]
_AGAIN_S = 0.5
"""Before somebody who was cut off listens again."""


@dataclass(frozen=True, slots=True)
class LabEvent:
    """Something that happened in a lab, or how something stands; docs/events.md says what there is."""

    type: str
    run: str
    """Name of the run; empty for what is of no single one."""
    data: Mapping[str, Any]
    cursor: str
    """Where this leaves whoever hears it."""


def heard_over(wire: Wire, after: str) -> Iterator[LabEvent]:
    """Hear events of a coordinator elsewhere; who is cut off listens again, from the last cursor.

    Args:
        wire: Asks it.
        after: The first cursor; empty begins with a snapshot.

    Yields:
        Each event.

    Raises:
        FLBaseError: Why nothing more is told.
        RoundStateError: Called from the thread of that loop, which would wait for itself.
    """

    async def listen() -> Notes:
        request = pb.EventsRequest(protocol=PROTOCOL, version=__version__, after=after)
        async with contextlib.aclosing(wire.listen("Events", request)) as parts:
            async for raw in parts:
                yield pb.EventNote.FromString(raw)

    while wire.ended is None:
        try:
            for event in heard(wire.thread, listen()):
                after = event.cursor
                yield event
        except TooManyCallsError:
            raise
        except TokenExpiredError:
            if not wire.renews:
                raise
            # With the next token; if that is no good either, the wire ends.
            time.sleep(_AGAIN_S)
        except UnreachableError:
            time.sleep(_AGAIN_S)
    raise wire.ended


def heard(thread: LoopThread, notes: Notes) -> Iterator[LabEvent]:
    """Hear events until whoever tells them stops.

    Args:
        thread: On whose loop they are told.
        notes: Tells them.

    Yields:
        Each event.

    Raises:
        FLBaseError: Why nothing more is told.
        RoundStateError: Called from the thread of that loop, which would wait for itself.
    """
    with contextlib.closing(_each(thread, notes)) as told:
        for note in told:
            yield LabEvent(note.type, note.run, json.loads(note.data), note.cursor)


def _each(thread: LoopThread, stream: Notes) -> Generator[pb.EventNote, None, None]:
    async def following() -> pb.EventNote | None:
        return await anext(stream, None)

    async def close() -> None:
        await stream.aclose()

    try:
        while thread.loop.is_running():
            if thread.here:
                raise RoundStateError(
                    "a callback of the coordinator must not wait for the next event",
                    hint="hear events in a thread of your own",
                )
            asked = thread.submit(following())
            try:
                note = asked.result()
            except CancelledError:
                break
            except BaseException:
                asked.cancel()  # ^C: what is being waited for there ends, too
                raise
            if note is None:
                return
            yield note
        raise UnreachableError("the loop on which events were heard has ended")
    finally:
        if thread.loop.is_running():
            thread.submit(close())
