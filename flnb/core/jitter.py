"""Waits that are drawn at random, so that all who wait for the same do not come back at one moment."""

from __future__ import annotations

import random

_RANDOM = random.SystemRandom()
"""Not Python's own generator: a notebook may have seeded that, and processes that were forked share it."""


def about(wait_s: float) -> float:
    """Draw a wait that is at most half shorter or longer, in seconds.

    Examples:
        >>> 1.0 <= about(2.0) <= 3.0
        True
    """
    return wait_s * (0.5 + _RANDOM.random())


def up_to(bound_s: float) -> float:
    """Draw a wait anywhere between nothing and a bound, in seconds.

    Examples:
        >>> 0.0 <= up_to(2.0) <= 2.0
        True
    """
    return bound_s * _RANDOM.random()
