"""How long things took: counts in fixed classes of seconds, as a monitor adds them up."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from typing import Any

BOUNDS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0)
"""Upper ends of the classes; one more class is for what took longer."""


class Durations:
    """Counts durations; only ever added to, from one thread at a time.

    Args:
        bounds_s: Upper ends of the classes, rising.

    Examples:
        >>> took = Durations((0.1, 1.0))
        >>> for seconds in (0.05, 0.1, 0.5, 7.0):
        ...     took.add(seconds)
        >>> took.counts, round(took.total_s, 2)
        ([2, 1, 1], 7.65)
    """

    def __init__(self, bounds_s: Sequence[float] = BOUNDS_S) -> None:
        self.bounds_s = tuple(bounds_s)
        self.counts = [0] * (len(self.bounds_s) + 1)
        self.total_s = 0.0

    def add(self, seconds_s: float) -> None:
        """Count one."""
        self.counts[bisect_left(self.bounds_s, seconds_s)] += 1
        self.total_s += seconds_s

    def to_json(self) -> Mapping[str, Any]:
        """As it travels."""
        return {"bounds_s": self.bounds_s, "counts": self.counts, "total_s": self.total_s}
