"""How all runs of a coordinator change, for everybody who listens: at most four notes a second."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from flnb.coordinator.control.looks import Looks, now, shown_to
from flnb.coordinator.control.plain import view_to_json
from flnb.core.errors import NotFoundError, UnreachableError
from flnb.core.ids import RunId
from flnb.core.progress import INTERVAL_S
from flnb.core.view import RunView
from flnb.transport import Claims
from flnb.transport.v1 import control_pb2 as pb

if TYPE_CHECKING:
    from flnb.coordinator.coordinator import Coordinator

_REST_LOOKS = 2
"""Runs that are not driven here are looked up at each second look: twice a second."""
_ALIVE_LOOKS = 40


class Watch:
    """Serves everybody who watches.

    Args:
        coordinator: Who is watched.
        looks: Knows who may see what.
        in_thread: Does blocking work.
    """

    def __init__(
        self, coordinator: Coordinator, looks: Looks, in_thread: Callable[..., Awaitable[Any]]
    ) -> None:
        self._coordinator, self._looks, self._in_thread = coordinator, looks, in_thread
        self._closing = asyncio.Event()

    def close(self) -> None:
        """End all watches: the coordinator stops."""
        self._closing.set()

    async def notes(self, claims: Claims, request: pb.WatchRequest) -> AsyncIterator[pb.WatchNote]:
        """Tell of changes until the coordinator stops.

        A listener that is slow gets fewer notes: each is of the moment in which it is sent.

        Raises:
            UnreachableError: The coordinator stops.
        """
        seen = _Seen(self, claims, tuple(map(RunId, request.runs)))
        look = 0
        while not self._closing.is_set():
            async for note in seen.news(look):
                yield note
            look += 1
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(INTERVAL_S):
                    await self._closing.wait()
        raise UnreachableError("the coordinator stops")


class _Seen:
    """What one listener has been told."""

    def __init__(self, watch: Watch, claims: Claims, held: tuple[RunId, ...]) -> None:
        self._coordinator, self._looks = watch._coordinator, watch._looks
        self._in_thread, self._claims, self._held = watch._in_thread, claims, held
        self._views: dict[RunId, tuple[RunView, bool]] = {}
        self._resting: dict[RunId, tuple[datetime, int, int]] = {}
        self._state = ""

    async def news(self, look: int) -> AsyncIterator[pb.WatchNote]:
        """What has changed since the last look."""
        state = self._looks.state(self._claims)
        if state != self._state or look % _ALIVE_LOOKS == 0:
            self._state = state
            yield pb.WatchNote(state=state)
        for run_id in self._coordinator.driven:
            if (note := self._driven(run_id)) is not None:
                yield note
        if look % _REST_LOOKS == 0:
            for note in await self._in_thread(self._undriven):
                yield note

    def _driven(self, run_id: RunId) -> pb.WatchNote | None:
        picture, at = self._coordinator.picture(run_id), now()
        assert picture is not None, "a run that is driven has a picture"
        seen = picture.view, self._coordinator.done(run_id).done()
        # A rest is told of when both are there: its picture, and why.
        if self._views.get(run_id) == seen or seen[0].status.over != seen[1]:
            return None
        self._views[run_id] = seen
        return self._note(run_id, seen[0], at)

    def _undriven(self) -> list[pb.WatchNote]:
        """What has become of runs that rest since before it started, or that guests drive; blocks."""
        notes = []
        for run_id in dict.fromkeys((*self._held, *tuple(self._looks.asked))):
            if self._coordinator.drives(run_id):
                continue
            at = now()
            with contextlib.suppress(NotFoundError):
                state = self._coordinator.lab.store.state
                record = state.run(run_id)
                closed = 0 if record.status.over else state.head(run_id).round
                # A head that moved is news, too, and so are rounds that a guest closes.
                stands = record.updated_at, record.generation, closed
                if self._resting.get(run_id) != stands:
                    self._resting[run_id] = stands
                    view = self._coordinator.lab.picture(record).view
                    notes.append(self._note(run_id, view, at))
        return notes

    def _note(self, run_id: RunId, view: RunView, at: int) -> pb.WatchNote:
        shown = view_to_json(shown_to(self._claims, view))
        error = self._looks.error(self._claims, run_id)
        return pb.WatchNote(run=run_id, view=shown, error=error, at=at)
