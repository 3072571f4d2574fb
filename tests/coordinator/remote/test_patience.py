"""Time counts only while the loop runs, and a stall is told."""

import pytest

from flnb.coordinator.remote.patience import MAX_TICK_S, LoopClock


class Hand:
    """A clock that is moved by hand."""

    def __init__(self):
        self.seconds = 0.0

    def monotonic_s(self):
        return self.seconds

    def now(self):
        raise AssertionError("wall clocks do not count")


def test_a_loop_that_stood_still_says_for_how_long_and_counts_little_of_it():
    hand = Hand()
    clock = LoopClock(hand)
    hand.seconds = 0.25
    assert clock.tick() == 0.0
    hand.seconds = 60.0
    assert clock.now_s() == pytest.approx(0.25 + MAX_TICK_S)
    assert clock.tick() == pytest.approx(59.75 - MAX_TICK_S)
    assert clock.now_s() == pytest.approx(0.25 + MAX_TICK_S)
