"""The heat map: what a square shows, in words and in colours that can be read."""

from math import nan

import pytest

from flnb.experiments.report.heat import _VIRIDIS, Scale, Square, _colour, _luminance


@pytest.mark.parametrize(("states", "kind", "below"), [
    ({"running": 1, "waiting": 2}, "running", "1 running, 2 waiting"),
    ({"failed": 3}, "failed", "3 failed"),
    ({"out of time": 1, "waiting": 1}, "failed", "1 out of time, 1 waiting"),
    ({"waiting": 2, "cut off": 1}, "waiting", "2 waiting, 1 cut off"),
])  # fmt: skip
def test_a_square_without_a_number_says_why(states, kind, below):
    one = Square(nan, nan, states)
    assert (one.kind, one.below) == (kind, below)


def test_a_number_of_some_seeds_says_of_how_many():
    assert Square(0.9, nan, {"finished": 1, "failed": 2}).below == "1 of 3, 2 failed"
    assert Square(0.9, 0.01, {"finished": 3}).below == "± 0.010"
    assert Square(0.9, nan, {"finished": 1}).below == ""


@pytest.mark.parametrize("part", [at / 50 for at in range(51)])
def test_text_on_every_colour_has_contrast_enough(part):
    ground = _luminance(_colour(part))
    scale = Scale(0.0, 1.0, falls=False)
    ink = 1.0 if "color:#fff" in scale.style(part) else 0.0
    light, dark = max(ground, ink), min(ground, ink)
    assert (light + 0.05) / (dark + 0.05) >= 4.5


def test_bright_is_best_whichever_way_is_better():
    best = "background:rgb({},{},{})".format(*_VIRIDIS[-1])
    assert Scale(0.0, 2.0, falls=False).style(2.0).startswith(best)
    assert Scale(0.0, 2.0, falls=True).style(0.0).startswith(best)
