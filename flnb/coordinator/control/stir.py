"""Wakes whoever listens when a picture of a run changes, in the moment in which it does."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from flnb.coordinator.picture import Picture
from flnb.core.ids import RunId

if TYPE_CHECKING:
    from flnb.coordinator.coordinator import Coordinator


class Stir:
    """Watches the pictures of all runs while anybody listens; used on the coordinator's loop.

    Args:
        coordinator: Whose runs.
    """

    def __init__(self, coordinator: Coordinator) -> None:
        self._coordinator = coordinator
        self._watched: dict[RunId, tuple[Picture, Callable[[], None]]] = {}
        self._ears: set[asyncio.Event] = set()

    @contextlib.contextmanager
    def ear(self) -> Iterator[asyncio.Event]:
        """An event that is set at every change; whoever waits for it clears it."""
        ear, self._loop = asyncio.Event(), asyncio.get_running_loop()
        self._ears.add(ear)
        try:
            yield ear
        finally:
            self._ears.discard(ear)
            if not self._ears:
                for _, unwatch in self._watched.values():
                    unwatch()
                self._watched.clear()

    def attend(self) -> None:
        """Watch what is driven since the last look."""
        for run in self._coordinator.driven:
            picture = self._coordinator.picture(run)
            known, unwatch = self._watched.get(run, (None, None))
            if picture is None or picture is known:
                continue
            if unwatch is not None:
                unwatch()
            self._watched[run] = picture, picture.watch(self._changed)

    def wake(self) -> None:
        """Wake everybody."""
        for ear in self._ears:
            ear.set()

    def _changed(self, _view: object) -> None:
        """A picture is another one; called in any thread."""
        with contextlib.suppress(RuntimeError):  # the loop is closed: the coordinator has stopped
            self._loop.call_soon_threadsafe(self.wake)
