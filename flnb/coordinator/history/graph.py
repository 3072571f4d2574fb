"""Draws the branches of a run: a lane a generation, rounds from left to right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from flnb.core import glance

_TOP, _ROW, _WIDTH, _GAP = 14, 30, 480, 24
_LETTER = 8
"""Width of a letter at most: what stands beside a lane must not be cut off."""
_MOST_DOTS = 120
"""Commits drawn one by one; more would be a bar."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """One generation of one branch."""

    branch: str
    generation: int
    base: tuple[str, int] | None
    """Branch and generation that it stands on; None began with the first version."""
    after: int
    """The round that it stands on, 0 for none."""
    last: int
    commits: tuple[int, ...]
    labels: Mapping[int, str]
    """Round to its name."""
    current: bool
    """Whether its last round is the head of its branch."""

    @property
    def name(self) -> str:
        """Branch and generation, as people read them."""
        return f"{self.branch} gen {self.generation}"

    @property
    def rounds(self) -> str:
        """Such as `31–42`."""
        own = self.last > self.after
        return f"{self.after + 1}–{self.last}" if own else f"none of its own, from {self.after} on"

    def remarks(self) -> str:
        """Head and names, as text."""
        words = [f"@head ({self.last})"] if self.current else []
        words += [f"{label} ({round_})" for round_, label in sorted(self.labels.items())]
        return ", ".join(words)


def as_text(title: str, lanes: Sequence[Lane]) -> str:
    """One line a lane; what a lane stands on is said, and its lines are indented below it."""
    ordered = _ordered(lanes)
    heads = [f"{'  ' * (depth - 1)}{'└ ' if depth else ''}{lane.name}" for lane, depth in ordered]
    wide = max(map(len, heads), default=0)
    wide_rounds = max((len(lane.rounds) for lane, _ in ordered), default=0)
    lines = [
        f"{head:<{wide}}   {lane.rounds:<{wide_rounds}}  {glance.count(len(lane.commits), 'commit')}"
        f"  {lane.remarks()}"
        for head, (lane, _) in zip(heads, ordered, strict=True)
    ]
    return "\n".join([title, *(line.rstrip() for line in lines)])


def as_svg(title: str, lanes: Sequence[Lane]) -> str:
    """The same as a drawing in the colour of the text around it; the words are inside as well."""
    ordered = [lane for lane, _ in _ordered(lanes)]
    last = max((lane.last for lane in ordered), default=0) or 1
    rows = {(lane.branch, lane.generation): index for index, lane in enumerate(ordered)}
    left = _GAP + _LETTER * max((len(lane.name) for lane in ordered), default=0)
    parts = [_lane(lane, index, rows, _Scale(left, last)) for index, lane in enumerate(ordered)]
    height = _TOP + _ROW * len(ordered) + 4
    words = max((len(_beside(lane)) for lane in ordered), default=0)
    width = left + _WIDTH + 2 * _GAP + _LETTER * words
    return (
        f'<div style="overflow-x:auto"><svg role="img" viewBox="0 0 {width} {height}" '
        f'style="width:100%;min-width:{width * 0.77:.0f}px;max-width:{width}px;height:auto" font-size="12" '
        f'fill="currentColor" stroke="none"><title>{escape(as_text(title, lanes))}</title>'
        f"{''.join(parts)}</svg></div>"
    )


@dataclass(frozen=True, slots=True)
class _Scale:
    """Where rounds stand: names are left of it and remarks right of it, so that no line crosses them."""

    left: int
    last: int

    @property
    def end(self) -> int:
        return self.left + _WIDTH

    def x(self, round_: int) -> float:
        return self.left + _WIDTH * round_ / self.last


def _lane(lane: Lane, index: int, rows: Mapping[tuple[str, int], int], scale: _Scale) -> str:
    y, x_from, x_to = _y(index), scale.x(lane.after), scale.x(lane.last)
    faint = "" if lane.current else ' opacity=".5"'
    parts = [f'<text x="0" y="{y + 4}">{escape(lane.name)}</text>']
    if lane.base is not None and lane.base in rows:
        y_base = _y(rows[lane.base])
        dash = ' stroke-dasharray="4 3"' if lane.base[0] == lane.branch else ""
        parts.append(
            f'<path d="M{x_from:.1f} {y_base} V{y}" fill="none" stroke="currentColor"{dash}/>'
        )
    parts.append(
        f'<path d="M{x_from:.1f} {y} H{x_to:.1f}" stroke="currentColor" stroke-width="2"/>'
    )
    if len(lane.commits) <= _MOST_DOTS:
        parts += [f'<circle cx="{scale.x(one):.1f}" cy="{y}" r="3"/>' for one in lane.commits]
    if x_to + _GAP < scale.end:  # leads the eye to what stands on the right
        parts.append(
            f'<path d="M{x_to + 8:.1f} {y} H{scale.end}" stroke="currentColor" opacity=".2"/>'
        )
    parts.append(f'<text x="{scale.end + _GAP}" y="{y + 4}">{escape(_beside(lane))}</text>')
    return f"<g{faint}>{''.join(parts)}</g>"


def _beside(lane: Lane) -> str:
    """What stands on the right of a lane, in one column."""
    return " ".join(filter(None, (lane.rounds, lane.remarks())))


def _ordered(lanes: Sequence[Lane]) -> list[tuple[Lane, int]]:
    """Lanes with their depth, each below the one that it stands on."""
    by_base: dict[tuple[str, int] | None, list[Lane]] = {}
    for lane in lanes:
        by_base.setdefault(lane.base, []).append(lane)
    known = {(lane.branch, lane.generation) for lane in lanes}
    found = list[tuple[Lane, int]]()

    def walk(lane: Lane, depth: int) -> None:
        found.append((lane, depth))
        for child in by_base.get((lane.branch, lane.generation), ()):
            walk(child, depth + 1)

    for lane in lanes:
        if lane.base not in known:
            walk(lane, 0)
    return found


def _y(index: int) -> int:
    return _TOP + _ROW * index
