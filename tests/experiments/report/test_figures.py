"""Figures: what is drawn, what is said of it in words, and what odd values do."""

import re
from math import inf, nan

import pytest

from flnb.experiments.report.axes import Axis, label
from flnb.experiments.report.figures import Line, Words, chart

WORDS = Words("Accuracy by round.", "round", "accuracy")


def points(svg):
    return [len(re.findall(r"[ML]", path)) for path in re.findall(r'line" d="([^"]*)"', svg)]


def test_a_curve_is_drawn_and_said_in_words():
    drawn = chart(WORDS, [Line("accuracy", [1, 2, 3], [0.1, 0.5, 0.4])])
    assert points(drawn) == [3]
    assert "accuracy 0.100 → 0.400, 0.100 to 0.500" in drawn


def test_a_curve_breaks_where_a_value_is_not_finite():
    drawn = chart(WORDS, [Line("loss", [1, 2, 3, 4, 5], [0.1, nan, 0.4, inf, 0.2])])
    (path,) = re.findall(r'line" d="([^"]*)"', drawn)
    assert path.count("M") == 3
    assert "nan" not in drawn
    assert "inf" not in drawn


@pytest.mark.parametrize("values", [[], [nan, nan], [inf]])
def test_a_curve_of_nothing_says_so(values):
    drawn = chart(WORDS, [Line("loss", list(range(len(values))), values)])
    assert "Nothing was measured." in drawn
    assert "<svg" not in drawn


def test_ten_thousand_rounds_are_as_many_points_as_can_be_seen():
    drawn = chart(WORDS, [Line("loss", range(10_000), [float(one) for one in range(10_000)])])
    assert points(drawn) == [400]
    assert "0.000 → 9999.000" in drawn


def test_a_band_follows_its_curve_and_is_left_out_of_one_seed():
    both = Line("fedavg", [1, 2], [0.5, 0.6], [0.4, 0.5], [0.6, 0.7])
    alone = Line("fedadam", [1, 2], [0.5, 0.6], [nan, nan], [nan, nan], colour=1)
    assert chart(WORDS, [both, alone]).count('band"') == 1


def test_the_eighth_curve_has_the_first_colour_and_is_dashed():
    lines = [Line(f"<{index}>", [1, 2], [0, index], colour=index) for index in range(8)]
    drawn = chart(WORDS, lines)
    assert drawn.count("c0 line dashed") == 2  # in the picture and in its key
    assert "<7>" not in drawn
    assert "&lt;7&gt;" in drawn


@pytest.mark.parametrize("values", [(0.93,), (5.0, 5.0), (0.0,), (-3e-7, 2e-7), (1e9, 3.4e9)])
def test_ticks_are_few_round_and_within_the_axis(values):
    axis = Axis.over(values, 0, 100)
    ticks = axis.ticks()
    assert 1 <= len(ticks) <= 7
    assert all(axis.low - 1e-9 <= tick <= axis.high * (1 + 1e-9) + 1e-9 for tick in ticks)
    assert len({label(tick) for tick in ticks}) == len(ticks)
