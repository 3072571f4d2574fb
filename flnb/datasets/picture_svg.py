"""Draws the rows of a split as SVG.

Colour is one hue whose opacity grows with the square root of the count. On white it goes from
nearly white to deep blue, on black from nearly black to bright blue: the order can be seen on
either, and nothing at all is the ground itself. Text and lines are `currentColor`.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

HUE = "#2b7de1"
WARNING = "#d9822b"
_LEVELS = 16
_TOP = 92
"""Pixels above the first row: title, remarks, axes."""
_BARS = 120
"""Pixels of the longest bar."""
_READABLE = 11
"""Pixels from which each row has room for text."""
_LONGEST_NAME = 22
_MIDDLE = 'text-anchor="middle"'
_END = 'text-anchor="end"'


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the picture."""

    name: str
    cells: tuple[float, ...]
    """Examples of each label; the mean when the row stands for several clients."""
    size: float


@dataclass(frozen=True, slots=True)
class _Frame:
    left: float
    cell: float
    room: float
    """What the name of a label needs."""
    row: float
    n_labels: int
    n_rows: int
    greatest: float
    """Of all cells."""
    largest: float
    """Of all sizes."""

    @property
    def right(self) -> float:
        return self.left + self.cell * self.n_labels

    @property
    def bars(self) -> float:
        return self.right + (20 if self.n_labels else 0)

    @property
    def bottom(self) -> float:
        return _TOP + self.row * self.n_rows

    @property
    def gap(self) -> float:
        return 1.0 if self.row >= 6 else 0.0

    def y(self, row: int) -> float:
        return _TOP + self.row * row


def draw(rows: Sequence[Row], labels: Sequence[str], *, title: str, remarks: str, unit: str) -> str:
    """Draw rows as one SVG element.

    Args:
        rows: Top to bottom.
        labels: Names of the columns; none draws the sizes alone.
        title: The picture's sentence.
        remarks: A second, smaller line.
        unit: What a number is, such as `examples`.
    """
    frame = _frame(rows, labels)
    content = max(frame.bars + _BARS + 70, frame.left + 10 * _LEVELS + 230)
    width = max(content, 8.8 * len(title) + 32, 6.6 * len(remarks) + 32)
    height = frame.bottom + (58 if labels else 24)
    body = [
        _text(16, 24, title, 'font-size="14" font-weight="600"'),
        _text(16, 43, remarks, 'font-size="12" opacity="0.75"'),
        *_cells(rows, frame),
        *_bars(rows, frame, unit),
        *_row_names(rows, frame),
        *_label_names(labels, frame),
        *(_legend(frame, unit) if labels else ()),
        *_tooltips(rows, labels, frame, unit),
    ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" '
        f'width="{width:.0f}" height="{height:.0f}" role="img" aria-label="{escape(title)}" '
        'style="max-width:100%;height:auto" font-family="system-ui, sans-serif" font-size="11" '
        'fill="currentColor">\n' + "\n".join(body) + "\n</svg>\n"
    )


def level_of(count: float, greatest: float) -> int:
    """Level of a count: 0 for nothing, else 1 to 16 by the root of its part of the greatest."""
    return math.ceil(_LEVELS * math.sqrt(min(1.0, count / greatest))) if count > 0 else 0


def opacity(level: int) -> float:
    """How opaque a level is: 0 for nothing, else from 0.2 to 1."""
    return round(0.2 + 0.8 * (level - 1) / (_LEVELS - 1), 3) if level else 0.0


def _frame(rows: Sequence[Row], labels: Sequence[str]) -> _Frame:
    longest = max((len(_short(row.name)) for row in rows), default=0)
    room = 6 + 6.4 * max((len(_short(label)) for label in labels), default=0)
    return _Frame(
        left=max(60.0, 30 + 6.4 * longest),
        cell=max(6.0, min(max(32.0, room), 72.0, 320 / max(1, len(labels)))),
        room=room,
        row=min(20.0, max(2.5, 480 / max(1, len(rows)))),
        n_labels=len(labels),
        n_rows=len(rows),
        greatest=max((max(row.cells, default=0.0) for row in rows), default=0.0),
        largest=max((row.size for row in rows), default=0.0),
    )


def _cells(rows: Sequence[Row], frame: _Frame) -> Iterator[str]:
    # One path for each level instead of one rectangle for each cell: a tenth of the bytes.
    paths: defaultdict[int, list[str]] = defaultdict(list)
    across, down = frame.cell - 1, frame.row - frame.gap
    for index, row in enumerate(rows):
        for column, count in enumerate(row.cells):
            if level := level_of(count, frame.greatest):
                corner = f"M{frame.left + column * frame.cell:.4g} {frame.y(index):.5g}"
                paths[level].append(f"{corner}h{across:.3g}v{down:.3g}h-{across:.3g}z")
    for level, path in sorted(paths.items()):
        yield f'<path fill="{HUE}" fill-opacity="{opacity(level)}" d="{"".join(path)}"/>'
    if not frame.n_labels:
        return
    yield (
        f'<rect x="{frame.left - 1:.1f}" y="{_TOP - 1:.1f}" fill="none" stroke="currentColor" '
        f'stroke-opacity="0.3" width="{frame.right - frame.left + 1:.1f}" '
        f'height="{frame.bottom - _TOP + 1:.1f}"/>'
    )


def _bars(rows: Sequence[Row], frame: _Frame, unit: str) -> Iterator[str]:
    thick = frame.row - max(frame.gap, 0.2 * frame.row if frame.row < 6 else 3.0)
    full: list[str] = []
    empty: list[str] = []
    for index, row in enumerate(rows):
        y = frame.y(index) + (frame.row - thick) / 2
        length = _BARS * row.size / frame.largest if row.size else 10.0
        bar = f"M{frame.bars:.5g} {y:.5g}h{length:.4g}v{thick:.3g}h-{length:.4g}z"
        (full if row.size else empty).append(bar)
        if frame.row >= _READABLE:
            words = f"{row.size:,.0f}" if row.size else "no data"
            yield _text(frame.bars + length + 5, frame.y(index) + frame.row / 2 + 4, words)
    yield f'<path fill-opacity="0.45" d="{"".join(full)}"/>'
    if empty:
        yield f'<path fill="{WARNING}" d="{"".join(empty)}"/>'
    yield _text(frame.bars, _TOP - 26, unit, 'opacity="0.75"')
    if frame.row < _READABLE:
        yield _text(frame.bars, _TOP - 8, "0")
        yield _text(frame.bars + _BARS, _TOP - 8, f"{frame.largest:,.0f}", _END)


def _row_names(rows: Sequence[Row], frame: _Frame) -> Iterator[str]:
    step = max(1, math.ceil(14 / frame.row)) if frame.row < _READABLE else 1
    yield _text(frame.left - 8, _TOP - 26, "client", f'{_END} opacity="0.75"')
    for index in range(0, len(rows), step):
        y = frame.y(index) + frame.row / 2 + 4
        yield _text(frame.left - 8, y, _short(rows[index].name), _END)


def _label_names(labels: Sequence[str], frame: _Frame) -> Iterator[str]:
    if not labels:
        return
    yield _text(frame.left, _TOP - 26, "label", 'opacity="0.75"')
    step = max(1, math.ceil(frame.room / frame.cell))
    for column in range(0, len(labels), step):
        x = frame.left + (column + 0.5) * frame.cell
        yield _text(x, _TOP - 8, _short(labels[column]).strip() or "␣", _MIDDLE)


def _legend(frame: _Frame, unit: str) -> Iterator[str]:
    y, step = frame.bottom + 14, 10.0
    for level in range(1, _LEVELS + 1):
        x = frame.left + (level - 1) * step
        yield (
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{step}" height="10" fill="{HUE}" '
            f'fill-opacity="{opacity(level)}"/>'
        )
    end = frame.left + _LEVELS * step
    for part in (0.0, 0.5, 1.0):
        # The middle of the ramp is a quarter of the greatest count: colour goes by its root.
        value = part**2 * frame.greatest
        x = frame.left + part * (end - frame.left)
        words = f"{value:,.0f}" if frame.greatest >= 10 else f"{value:.2g}"
        yield _text(x, y + 23, words, _MIDDLE)
    yield _text(end + 14, y + 9, f"{unit} of a label; blank is none", 'opacity="0.75"')


def _tooltips(
    rows: Sequence[Row], labels: Sequence[str], frame: _Frame, unit: str
) -> Iterator[str]:
    width = frame.bars + _BARS
    for index, row in enumerate(rows):
        held = [
            f"{name}: {count:,.4g}" for name, count in zip(labels, row.cells, strict=True) if count
        ]
        words = f"{row.name} · {row.size:,.4g} {unit}" + (f" · {', '.join(held)}" if held else "")
        yield (
            f'<rect y="{frame.y(index):.5g}" width="{width:.0f}" height="{frame.row:.4g}" '
            f'fill-opacity="0"><title>{escape(words)}</title></rect>'
        )


def _text(x: float, y: float, words: str, attributes: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" {attributes}>{escape(words)}</text>' if words else ""


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else name[: _LONGEST_NAME - 1] + "…"
