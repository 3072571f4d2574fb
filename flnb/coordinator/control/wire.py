"""A connection's own thread: asks the service, and watches it for as long as the connection lives."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import weakref
from collections.abc import AsyncGenerator, Callable, Coroutine
from typing import Any, TypeVar

from google.protobuf.message import Message

from flnb import __version__
from flnb.coordinator.control.held import Held
from flnb.coordinator.loop import LoopThread
from flnb.core.errors import (
    AccessRefusedError,
    FLBaseError,
    TokenExpiredError,
    UnreachableError,
)
from flnb.core.ids import RunId
from flnb.core.jitter import about
from flnb.transport import PROTOCOL, ControlLink
from flnb.transport.v1 import control_pb2 as pb

Anything = TypeVar("Anything", bound=Message)
T = TypeVar("T")

_FIRST_S, _MOST_S = 0.2, 3.0
"""Between two tries to reach the service again; the wait grows, and is drawn at random."""
_CLOSE_S = 5.0

_FAILURES = 5
"""So often in a row the service may answer that it cannot, before it is believed."""

log = logging.getLogger(__name__)


class Wire:
    """Asks and watches on a thread of its own; safe to use from any thread.

    Args:
        make_link: Makes the link, on that thread.
        renews: Whether an expired token is followed by a fresh one.
        on_close: Called once when nothing more will be asked.

    Raises:
        FLBaseError: The service refuses, or cannot be reached.
    """

    def __init__(
        self, make_link: Callable[[], ControlLink], *, renews: bool, on_close: Callable[[], None]
    ) -> None:
        self.renews, self._on_close = renews, on_close
        self._held: dict[RunId, Held] = {}
        self.thread = LoopThread("flnb-connection")
        self.thread.start()
        self.connected = True
        self.ended: FLBaseError | None = None
        """Why nothing more will be heard."""
        opening = self.thread.submit(_greeted(make_link))
        try:
            self._link, self.greeting = opening.result()
        except BaseException:
            opening.cancel()  # ^C
            self.thread.call(_all_over())
            self.thread.stop()
            on_close()
            raise
        self.state = self.greeting.state
        """The coordinator itself, as JSON; as it was heard last."""
        self._watching = self.thread.submit(self._watch())
        _OPEN.add(self)

    def ask(self, method: str, request: Message, kind: type[Anything]) -> Anything:
        """Ask for one message; see `ControlLink.ask`."""
        return self._call(self._link.ask(method, request, kind))

    def whole(self, method: str, request: Message) -> bytes:
        """Ask for raw chunks, and put them together; see `ControlLink.whole`."""
        return self._call(self._link.whole(method, request))

    def parts(self, method: str, request: Message) -> list[bytes]:
        """Ask for a stream of raw messages; see `ControlLink.listen`."""

        async def listen() -> list[bytes]:
            return [part async for part in self._link.listen(method, request)]

        return self._call(listen())

    def each(self, method: str, request: Message, take: Callable[[bytes], object]) -> None:
        """Ask for a stream of raw messages, and hand over each as it comes, on the thread."""

        async def listen() -> None:
            async for part in self._link.listen(method, request):
                await asyncio.to_thread(take, part)

        self._call(listen())

    async def listen(self, method: str, request: Message) -> AsyncGenerator[bytes, None]:
        """Ask for a stream of raw messages; to be called on the thread.

        Yields:
            Each of them.

        Raises:
            FLBaseError: What the coordinator raised, or why nothing more is asked.
        """
        async with contextlib.aclosing(self._link.listen(method, request)) as parts:
            async for part in parts:
                yield part

    def held(self, method: str, request: Message) -> Held:
        """Ask for a run, and hold it from now on."""

        async def ask() -> Held:
            told = await self._link.ask(method, request, pb.RunReply)
            held = self._held.get(RunId(told.id))
            if held is None:
                held = self._held[RunId(told.id)] = Held(told, self.thread.loop)
            held.take(told)
            return held

        return self._call(ask())

    def tell(self, method: str, request: Message) -> None:
        """Ask for something whose answer says nothing; from a callback, without waiting for it."""
        asking = self._link.ask(method, request, pb.ToldReply)
        if not self.thread.here:
            self._call(asking)
            return
        self.thread.submit(asking).add_done_callback(_say_failure)

    def later(self, delay_s: float, work: Callable[[], None]) -> None:
        """Call something on the thread after a while."""
        loop = self.thread.loop
        loop.call_soon_threadsafe(loop.call_later, delay_s, work)

    def close(self) -> None:
        """End the connection; the service and its runs go on."""
        if self not in _OPEN:
            return
        _OPEN.discard(self)
        self.ended = self.ended or UnreachableError("the connection was closed")
        self._watching.cancel()
        self.thread.call(self._close())
        self.thread.stop()
        self.connected = False
        self._on_close()

    def _call(self, work: Coroutine[Any, Any, T]) -> T:
        if self.ended is not None and self not in _OPEN:
            work.close()
            raise self.ended
        return self.thread.call(work)

    async def _close(self) -> None:
        await self._link.close()
        for held in self._held.values():
            held.lose(UnreachableError("the connection was closed"))

    # --- watching -------------------------------------------------------------------------------

    async def _watch(self) -> None:
        """Hear how all runs change; whatever breaks is tried again until the service refuses."""
        wait_s, failures = _FIRST_S, 0
        while True:
            try:
                async for note in self._notes():
                    self.connected, wait_s, failures = True, _FIRST_S, 0
                    self._take(note)
            except FLBaseError as error:
                self.connected = False
                failures += not isinstance(error, UnreachableError)
                renewed = self.renews and isinstance(error, TokenExpiredError)
                refused = isinstance(error, AccessRefusedError) and not renewed
                if refused or failures >= _FAILURES:
                    self._lose(error)
                    return
            except Exception as error:  # who waits must hear of it, whatever it is
                log.exception("the watch of %s has ended", self._link.address)
                self._lose(_unread(error))
                return
            # Without the jitter, all who watched would come back in the same moment.
            await asyncio.sleep(about(wait_s))
            wait_s = min(_MOST_S, 2 * wait_s)

    async def _notes(self) -> Any:
        for held in self._held.values():
            held.renewed()
        request = pb.WatchRequest(protocol=PROTOCOL, version=__version__, runs=list(self._held))
        async for raw in self._link.listen("Watch", request):
            yield pb.WatchNote.FromString(raw)

    def _take(self, note: pb.WatchNote) -> None:
        self.state = note.state or self.state
        if (held := self._held.get(RunId(note.run))) is not None:
            held.take(note)

    def _lose(self, error: FLBaseError) -> None:
        self.connected, self.ended = False, error
        for held in self._held.values():
            held.lose(error)


async def _greeted(make: Callable[[], ControlLink]) -> tuple[ControlLink, pb.StatusReply]:
    """Make a link over which the service has answered."""
    link = make()
    try:
        return link, await link.status()
    except BaseException:
        # What gRPC still does for it would find the loop closed, and print that in other cells.
        await link.close()
        raise


async def _all_over() -> None:
    """Wait for the end of what was cancelled."""
    if others := asyncio.all_tasks() - {asyncio.current_task()}:
        await asyncio.wait(others, timeout=_CLOSE_S)


def _unread(error: Exception) -> FLBaseError:
    what = f"{type(error).__name__}: {error}"
    return FLBaseError(
        f"what the coordinator says cannot be read here ({what})",
        hint="of two versions of flnb, upgrade the older; then connect again",
    )


def _say_failure(asked: Any) -> None:
    if not asked.cancelled() and asked.exception() is not None:
        log.error("what a callback asked for was refused: %s", asked.exception())


_OPEN: weakref.WeakSet[Wire] = weakref.WeakSet()


def _close_all() -> None:
    for wire in tuple(_OPEN):
        wire.close()


# As in `coordinator.py`: at `atexit` the threads that gRPC needs would be gone already.
threading._register_atexit(_close_all)  # type: ignore[attr-defined]  # the only hook before that; concurrent.futures uses it too
