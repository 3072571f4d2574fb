"""Curves as SVG of our own: no script is needed to look at them, and they print sharply.

A figure is drawn for the width of a phone and stands beside others on a wide screen. Colours are the style
sheet's (`page.py`), so that they follow light and dark.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from flnb.core import glance
from flnb.core.cards import Html, escape
from flnb.experiments.report.axes import Axis, label

COLOURS = 7
"""Told apart by everybody; lines beyond are dashed in the same order."""
_WIDTH, _HEIGHT = 420, 260
_LEFT, _RIGHT, _TOP, _BOTTOM = 50, 10, 10, 38
_MOST_POINTS = 400


@dataclass(frozen=True, slots=True)
class Line:
    """A curve, with a band around it where there is one."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float] = ()
    high: Sequence[float] = ()
    colour: int = 0
    dots: bool = False
    """Points alone, which nothing joins."""


@dataclass(frozen=True, slots=True)
class Words:
    """What stands around a figure."""

    title: str
    """A sentence."""
    x: str
    y: str


def chart(
    words: Words, lines: Sequence[Line], *, key: bool = True, up: Sequence[float] = ()
) -> Html:
    """Draw curves over each other.

    Args:
        words: Its caption and the names of its axes, with their units.
        lines: The curves; one without a finite point is left out.
        key: Whether the names of several curves stand below it.
        up: Values that its vertical axis holds too, so that figures beside each other share one.
    """
    drawn = [_thin(line) for line in lines if any(map(math.isfinite, line.y))]
    if not drawn:
        return _figure(words.title, '<p class="quiet">Nothing was measured.</p>')
    across = Axis.over((x for line in drawn for x in line.x), _LEFT, _WIDTH - _RIGHT)
    heights = [v for line in drawn for v in (*line.y, *line.low, *line.high)]
    upwards = Axis.over([*heights, *up], _HEIGHT - _BOTTOM, _TOP, air=0.05)
    parts = [*_grid(words, across, upwards), *(_drawn(line, across, upwards) for line in drawn)]
    said = "; ".join(_said(line) for line in drawn)
    picture = (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(f"{words.title} {said}")}">'
        f"{''.join(parts)}</svg>"
    )
    return _figure(words.title, picture + (legend(drawn) if key and len(drawn) > 1 else ""))


def legend(lines: Sequence[Line]) -> Html:
    """The names of curves, with their colours."""
    items = "".join(
        f'<li><svg viewBox="0 0 26 8" aria-hidden="true"><path class="{_classes(line)}" d="M0 4H26"/></svg>'
        f"{escape(line.name)}</li>"
        for line in lines
    )
    return Html(f'<ul class="legend">{items}</ul>')


def side_by_side(figures: Sequence[str]) -> Html:
    """Figures beside each other where there is room."""
    return Html(f'<div class="figures">{"".join(figures)}</div>')


def _figure(title: str, content: str) -> Html:
    return Html(f"<figure>{content}<figcaption>{escape(title)}</figcaption></figure>")


def _grid(words: Words, across: Axis, up: Axis) -> Iterator[str]:
    bottom = _HEIGHT - _BOTTOM
    for tick in up.ticks():
        y = up.px(tick)
        yield f'<path class="grid" d="M{_LEFT} {y:.1f}H{_WIDTH - _RIGHT}"/>'
        yield _text(_LEFT - 6, y + 4, label(tick), "end")
    for tick in across.ticks(6, whole=words.x == "round"):
        x = across.px(tick)
        yield f'<path class="tick" d="M{x:.1f} {bottom}v4"/>'
        yield _text(x, bottom + 16, label(tick), "middle")
    yield f'<path class="tick" d="M{_LEFT} {bottom}H{_WIDTH - _RIGHT}"/>'
    yield _text((_LEFT + _WIDTH - _RIGHT) / 2, _HEIGHT - 4, words.x, "middle")
    middle = (_TOP + bottom) / 2
    yield (
        f'<text x="11" y="{middle:.0f}" text-anchor="middle" '
        f'transform="rotate(-90 11 {middle:.0f})">{escape(words.y)}</text>'
    )


def _text(x: float, y: float, words: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'


def _drawn(line: Line, across: Axis, up: Axis) -> str:
    points = list(zip(map(across.px, line.x), line.y, strict=True))
    title = f"<title>{escape(_said(line))}</title>"
    if line.dots:
        marks = "".join(
            f'<circle cx="{x:.1f}" cy="{up.px(y):.1f}" r="3"/>'
            for x, y in points
            if math.isfinite(y)
        )
        return f'<g class="c{line.colour % COLOURS} dots">{title}{marks}</g>'
    path = "".join(_path(run) for run in _runs(points, up))
    last = max((point for point in points if math.isfinite(point[1])), key=lambda point: point[0])
    end = f'<circle class="c{line.colour % COLOURS} dots" cx="{last[0]:.1f}" cy="{up.px(last[1]):.1f}" r="2.5"/>'
    return (
        f'<g>{title}{_band(line, across, up)}<path class="{_classes(line)}" d="{path}"/>{end}</g>'
    )


def _band(line: Line, across: Axis, up: Axis) -> str:
    known = [
        (across.px(x), up.px(low), up.px(high))
        for x, low, high in zip(line.x, line.low, line.high, strict=False)
        if math.isfinite(low) and math.isfinite(high)
    ]
    if len(known) < 2:
        return ""
    edge = [(x, high) for x, _, high in known] + [(x, low) for x, low, _ in reversed(known)]
    return f'<path class="c{line.colour % COLOURS} band" d="{_path(edge)}z"/>'


def _runs(points: Sequence[tuple[float, float]], up: Axis) -> Iterator[list[tuple[float, float]]]:
    """Points in rows between those that are not finite."""
    row: list[tuple[float, float]] = []
    for x, y in points:
        if math.isfinite(y):
            row.append((x, up.px(y)))
        elif row:
            yield row
            row = []
    if row:
        yield row


def _path(points: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)


def _classes(line: Line) -> str:
    return f"c{line.colour % COLOURS} line{' dashed' if line.colour >= COLOURS else ''}"


def _said(line: Line) -> str:
    """A curve in words: where it begins and ends."""
    finite = [value for value in line.y if math.isfinite(value)]
    course = f"{glance.number(finite[0])} → {glance.number(finite[-1])}"
    return f"{line.name} {course}, {glance.number(min(finite))} to {glance.number(max(finite))}"


def _thin(line: Line) -> Line:
    """Leave points out, evenly, where there are more than a figure has pixels."""
    n_points = len(line.x)
    if n_points <= _MOST_POINTS:
        return line
    step = (n_points - 1) / (_MOST_POINTS - 1)
    kept = [round(index * step) for index in range(_MOST_POINTS)]
    x, y, low, high = (
        [values[index] for index in kept] if values else ()
        for values in (list(line.x), list(line.y), list(line.low), list(line.high))
    )
    return Line(line.name, x, y, low, high, line.colour, line.dots)
