"""What all sessions of a server share: answers and drawings, made once however many look."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

T = TypeVar("T")
_MOST = 64


@dataclass(slots=True)
class _Place:
    """Where an answer lies; whoever comes while it is asked for waits for it."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    stamp: Hashable = None
    answer: Any = None


class Made:
    """What is made of something that does not change any more, once for all who show it.

    For the loop of the pages alone: nobody waits for another who makes the same.
    """

    def __init__(self) -> None:
        self._made: dict[Hashable, Any] = {}

    def once(self, what: Hashable, make: Callable[[], T]) -> T:
        """Give what was made, or make it.

        Args:
            what: Names it, with everything else that it depends on.
            make: Makes it; must not block.
        """
        if what not in self._made:
            self._made[what] = make()
        return cast("T", self._made[what])


class Shared:
    """Keeps the newest answers, each as old as what it was asked of."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._places: dict[Hashable, _Place] = {}

    def get(self, what: Hashable, stamp: Hashable, ask: Callable[[], T]) -> T:
        """Give an answer that is known, or ask.

        Args:
            what: What is asked, such as a name with the run.
            stamp: Of what moment, such as the newest round; of another one it is asked again.
            ask: Blocks; what it raises goes to whoever asked, and is not kept.
        """
        with self._lock:
            place = self._places.pop(what, None) or _Place()
            self._places[what] = place  # the newest at the end
            while len(self._places) > _MOST:
                del self._places[next(iter(self._places))]
        with place.lock:
            if place.stamp != stamp:
                place.answer = ask()
                place.stamp = stamp
            return cast("T", place.answer)
