"""Time that counts for deadlines and leases: only while the loop ran, clients could be heard."""

from __future__ import annotations

from flnb.core.clock import SYSTEM_CLOCK, Clock

TICK_S = 0.25
MAX_TICK_S = 0.5
"""Of a loop that stood still (a cell that holds the interpreter lock, a stopped process), at most
this much counts."""

ABSENT_S = 45.0
"""How long a client whose connection broke may stay away from an open round."""

STALL_S = 1.0
"""What is told of: the loop stood still for longer."""


class LoopClock:
    """Seconds in which the loop ran; somebody must call `tick` every `TICK_S`."""

    def __init__(self, clock: Clock = SYSTEM_CLOCK) -> None:
        self._clock = clock
        self._counted_s, self._ticked_s = 0.0, clock.monotonic_s()

    def tick(self) -> float:
        """The loop runs.

        Returns:
            For how many seconds it stood still, if it did: these do not count.
        """
        now_s = self._clock.monotonic_s()
        passed_s = now_s - self._ticked_s
        self._counted_s += min(passed_s, MAX_TICK_S)
        self._ticked_s = now_s
        return max(0.0, passed_s - MAX_TICK_S)

    def now_s(self) -> float:
        """Seconds that counted since this clock was made; never goes back."""
        return self._counted_s + min(self._clock.monotonic_s() - self._ticked_s, MAX_TICK_S)
