"""Waits that are drawn at random, so that all who wait for the same do not come back at one moment."""

from __future__ import annotations

import random

_RANDOM = random.SystemRandom()
"""Not Python's own generator: a notebook may have seeded that, and processes that were forked share it."""


def about(wait_s: float) -> float:
    """Draw a wait that is at most half shorter or longer, in seconds."""
    return wait_s * (0.5 + _RANDOM.random())


def up_to(bound_s: float) -> float:
    """Draw a wait anywhere between nothing and a bound, in seconds."""
    return bound_s * _RANDOM.random()
