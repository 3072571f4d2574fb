"""Colours of charts: seen on both grounds, told apart."""

import pytest

from flnb.dashboards.head import TEMPLATE
from flnb.dashboards.theme import GREY, HUES, THEME

GROUNDS = ("#ffffff", THEME["dark"]["palette"]["background"]["paper"])


def luminance(colour):
    """Of sRGB, as WCAG 2.2 defines it."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("ground", GROUNDS)
def test_every_line_of_a_chart_stands_out_on_its_ground(ground):
    assert f"background: {ground}" in TEMPLATE
    for colour in (*HUES, GREY):
        light, dark = sorted((luminance(colour), luminance(ground)), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 3.0, colour
