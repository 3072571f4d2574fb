import math
import re
from html.parser import HTMLParser

import pytest

from flnb.core import cards, glance


class _Reader(HTMLParser):
    """Reads HTML as a browser would: text, elements, and whether every element is closed."""

    def __init__(self, markup):
        super().__init__()
        self.text, self.elements, self._open = "", [], []
        self.feed(markup)
        assert not self._open, f"left open: {self._open}"

    def handle_starttag(self, tag, attrs):
        self.elements.append(tag)
        self._open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append(tag)

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        self.text += data


HOSTILE = "<script>alert('x')</script>\" onload=\"y&"


@pytest.mark.parametrize(
    "markup",
    [
        cards.card(HOSTILE, {"k": "v"}),
        cards.card("t", {HOSTILE: HOSTILE}),
        cards.card("t", {}, details={HOSTILE: HOSTILE}),
        cards.card("t", {}, status=HOSTILE),
        cards.table([HOSTILE], [[HOSTILE]]),
        cards.sparkline([1.0, 2.0], label=HOSTILE),
        cards.quiet(HOSTILE),
    ],
)
def test_text_of_users_is_shown_and_never_becomes_markup(markup):
    page = _Reader(markup)
    assert "script" not in page.elements
    assert HOSTILE in page.text


def test_html_goes_in_as_it_is_once():
    inner = cards.table(["a"], [["<b>"]])
    page = _Reader(cards.card("outer", {"x": inner}, details={"more": inner}))
    assert page.elements.count("table") == 3  # the card's own, and the inner one twice
    assert "&lt;" not in page.text


def test_a_card_brings_no_colour_of_ground_or_text():
    markup = cards.card("Lab", {"runs": "3"}, details={"more": "text"}, status="running")
    assert set(re.findall(r"background:([^;\"]+)", markup)) == {"transparent"}
    assert "<style" not in markup
    assert re.findall(r"(?<!-)color:(#\w+)", markup) == [glance.mark("running").colour]


@pytest.mark.parametrize("state", ["running", "paused", "late", "failed", "refused", "stopped"])
def test_a_state_is_told_by_shape_word_and_colour_on_any_ground(state):
    look = glance.mark(state)
    page = _Reader(cards.badge(state))
    assert page.text == f"{look.shape} {state}"
    luminance = _luminance(look.colour)
    assert (1.0 + 0.05) / (luminance + 0.05) > 3.5, "on white"
    assert (luminance + 0.05) / (_luminance("#111111") + 0.05) > 3.5, "on #111"


def test_shapes_alone_tell_good_from_bad():
    shapes = [glance.mark(state).shape for state in ("running", "paused", "late", "failed")]
    shapes += [glance.mark(state).shape for state in ("refused", "stopped", "finished")]
    assert len(set(shapes)) == len(shapes)


def test_an_unknown_state_is_shown_by_its_own_word():
    assert _Reader(cards.badge("thinking")).text == "· thinking"


def test_a_sparkline_keeps_its_text_where_drawings_are_taken_out():
    page = _Reader(cards.sparkline([0.1, 0.5, 0.9], label="accuracy"))
    assert page.text == "accuracy ▁▅█ 0.100 → 0.900"
    assert page.elements == ["svg", "title", "polyline", "circle"]


def test_a_sparkline_stays_inside_its_drawing():
    markup = cards.sparkline([3.0, math.nan, -7.0, math.inf, 5.0], width_px=100, height_px=40)
    points = [pair.split(",") for pair in re.search(r'points="([^"]+)"', markup)[1].split()]
    assert len(points) == 3
    assert all(0 <= float(x) <= 100 and 0 <= float(y) <= 40 for x, y in points)


@pytest.mark.parametrize("values", [[], [1.0], [math.nan, math.nan]])
def test_a_curve_without_two_points_is_not_drawn(values):
    assert cards.sparkline(values) == ""


def test_a_flat_curve_is_drawn_flat():
    assert glance.spark([2.0, 2.0, 2.0]) == "▁▁▁"
    assert "nan" not in cards.sparkline([2.0, 2.0])


def test_a_bundle_has_text_and_html():
    made = cards.bundle("Lab(3 runs)", cards.card("Lab", {}))
    assert made["text/plain"] == "Lab(3 runs)"
    assert type(made["text/html"]) is str


@pytest.mark.parametrize("done", [-1, 0, 3, 10, 99])
def test_a_bar_never_leaves_its_width(done):
    assert len(glance.bar(done, 10)) == 20
    assert float(re.findall(r'width="([\d.]+)"', cards.meter(done, 10))[2]) <= 160


def _luminance(colour):
    channels = [int(colour[index : index + 2], 16) / 255 for index in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
