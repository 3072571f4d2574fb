"""How long to wait before the next try."""

from __future__ import annotations

import asyncio

from flnb.core import SYSTEM_CLOCK
from flnb.core.jitter import up_to

FIRST_S, MOST_S = 0.2, 30.0


class Backoff:
    """Waits that double, each anywhere between nothing and its bound.

    Full jitter: a thousand clients whose coordinator was away do not come back at one moment.
    """

    def __init__(self) -> None:
        self._bound_s = FIRST_S

    def next_s(self) -> float:
        """How long to wait now."""
        bound_s = self._bound_s
        self._bound_s = min(MOST_S, 2 * bound_s)
        return up_to(bound_s)

    def reset(self) -> None:
        """It went well: begin with the shortest wait again."""
        self._bound_s = FIRST_S


class Patience:
    """Tries of a transfer, until nothing has moved for too long.

    What counts is how much is left when a try begins, not how long the last one took: a transfer
    may go well for hours before it breaks. A chunk that arrives wrong each time is no progress.

    Args:
        limit_s: How long without any chunk getting through.
    """

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._backoff = Backoff()
        self._left: int | None = None
        self._since_s = SYSTEM_CLOCK.monotonic_s()
        self._waits_since_s: float | None = None
        self.over = False
        """Whether it is time to give up, if the try that has begun fails as well."""

    def still(self, left: int) -> None:
        """A try begins with so many chunks to go; fewer than at the last one means progress.

        More means that the coordinator began anew, and so does the patience.
        """
        now_s = SYSTEM_CLOCK.monotonic_s()
        if left != self._left:
            self._backoff.reset()
            self._since_s = now_s
        self._left, self.over = left, now_s - self._since_s > self._limit_s
        self._waits_since_s = now_s

    def begins(self) -> None:
        """The try that has begun waits for its turn no more, which was no standing still.

        Its turn has come, or it broke before that; only the first call after `still` counts.
        """
        if self._waits_since_s is not None:
            self._since_s += SYSTEM_CLOCK.monotonic_s() - self._waits_since_s
            self._waits_since_s = None

    async def pause(self) -> None:
        """Wait for the next try."""
        await asyncio.sleep(self._backoff.next_s())
