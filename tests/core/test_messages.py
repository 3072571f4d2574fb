"""What the rooms say to each other."""

import math

import numpy as np
import pytest

from flnb.core import MetricSum, Outcome
from flnb.core.messages import Segment


def test_a_metric_is_its_total_over_its_count():
    assert MetricSum(total=93.0, count=100.0).value == 0.93


def test_a_metric_of_nothing_is_not_a_number():
    assert math.isnan(MetricSum(total=0.0, count=0.0).value)


def test_outcomes_keep_their_numbers_for_ever():
    # They are written to the journal as bytes.
    assert {outcome.name: int(outcome) for outcome in Outcome} == {
        "PENDING": 0,
        "ACCEPTED": 1,
        "REFUSED": 2,
        "FAILED": 3,
        "LOST": 4,
        "LATE": 5,
    }


def test_messages_do_not_change_on_the_way():
    with pytest.raises(AttributeError):
        MetricSum(1.0, 1.0).total = 2.0


def test_a_segment_that_ends_before_its_first_round_holds_none():
    assert [1 in Segment("r", 1, 0, last) for last in (None, 1, 0)] == [True, True, False]


def test_metrics_are_added_exactly_and_infinities_of_both_signs_are_no_number():
    assert MetricSum.added([1e16, 1.0, -1e16], [1.0, 1.0, 2.0]) == MetricSum(1.0, 4.0)
    assert math.isnan(MetricSum.added([math.inf, -math.inf], [1.0, 1.0]).value)
    for huge in ([1e308, 1e308], np.array([1e308, 1e308])):
        assert MetricSum.added(huge, [1.0, 1.0]).value == math.inf
    assert math.isnan(MetricSum.added(np.array([math.inf, -math.inf]), [1.0, 1.0]).value)
