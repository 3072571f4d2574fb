"""The grid of a study as a heat map: a table, so that its numbers can be read, copied and heard."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape as escape_text

from flnb.core import glance
from flnb.core.cards import Html, escape
from flnb.experiments.report.elements import framed_table, value
from flnb.experiments.report.settings import Setting, Settings

_VIRIDIS = (
    (68, 1, 84), (72, 40, 120), (62, 74, 137), (49, 104, 142), (38, 130, 142),
    (31, 158, 137), (53, 183, 121), (110, 206, 88), (181, 222, 43), (253, 231, 37),
)  # fmt: skip
"""Ten colours of viridis by van der Walt and Smith: even steps for everybody, also without colours."""
_BRIGHT = 0.179
"""Luminance from which black text has more contrast than white."""

CSS = """
table.heat { border-collapse: separate; border-spacing: 3px; width: auto; }
table.heat thead, table.heat tbody { border: 0; }
table.heat th { padding: 4px 10px 4px 0; font-weight: 500; border: 0; text-align: left; } table.heat thead th { text-align: center; padding: 4px 6px; }
table.heat th.axis { color: var(--quiet); text-align: left; }
table.heat td { min-width: 68px; height: 42px; padding: 4px 8px; border: 0; text-align: center; vertical-align: middle; border-radius: 5px;
  font-weight: 550; white-space: nowrap; print-color-adjust: exact; -webkit-print-color-adjust: exact; }
table.heat td small { display: block; font-size: 11px; font-weight: 400; line-height: 13px; }
table.heat tbody tr:hover td { background: revert-layer; }
table.heat td.running { background: repeating-linear-gradient(45deg, var(--line) 0 3px, transparent 3px 9px); }
table.heat td.failed { box-shadow: inset 0 0 0 1.5px var(--bad); color: var(--bad); }
table.heat td.waiting { box-shadow: inset 0 0 0 1px var(--line); color: var(--quiet); }
table.heat td a { color: inherit; }
table.heat td.absent { visibility: hidden; }
.ramp { display: flex; align-items: center; gap: 8px; font-size: 13px; color: var(--quiet); margin: 4px 0 8px; flex-wrap: wrap; }
.ramp i { width: 160px; height: 10px; border-radius: 3px; print-color-adjust: exact; -webkit-print-color-adjust: exact; }
"""
"""Needs the variables `--line`, `--quiet` and `--bad`."""


@dataclass(frozen=True, slots=True)
class Square:
    """One setting on the map."""

    mean: float
    """Over the seeds that are finished; NaN while there is none."""
    sd: float
    states: Mapping[str, int]
    """How many seeds are in which state."""
    link: str = ""

    @property
    def kind(self) -> str:
        """How it is drawn: `measured`, or, before that, hatched, crossed or empty."""
        if not math.isnan(self.mean):
            return "measured"
        if self.states.get("running"):
            return "running"
        return "failed" if {"failed", "out of time"} & set(self.states) else "waiting"

    @property
    def below(self) -> str:
        """What stands under its number: the spread, or what is missing."""
        n_cells, finished = sum(self.states.values()), self.states.get("finished", 0)
        if self.kind != "measured" or finished < n_cells:
            others = [f"{n} {state}" for state, n in self.states.items() if state != "finished"]
            return ", ".join(([f"{finished} of {n_cells}"] if finished else []) + others)
        return "" if math.isnan(self.sd) else f"± {glance.number(self.sd)}"


@dataclass(frozen=True, slots=True)
class Scale:
    """Colours between the worst and the best of all squares."""

    low: float
    high: float
    falls: bool
    """Whether less is better: bright is best, always."""

    @classmethod
    def over(cls, squares: Sequence[Square], *, falls: bool) -> Scale:
        """The scale of these squares."""
        known = [one.mean for one in squares if math.isfinite(one.mean)]
        return cls(min(known, default=0.0), max(known, default=0.0), falls)

    def style(self, number: float) -> str:
        """Ground and text of a square."""
        part = (number - self.low) / (self.high - self.low) if self.high > self.low else 0.5
        red, green, blue = colour = _colour(1 - part if self.falls else part)
        ink = "#000" if _luminance(colour) > _BRIGHT else "#fff"
        return f"background:rgb({red},{green},{blue});color:{ink}"

    def legend(self) -> Html:
        """The colours with their ends."""
        ends = (self.high, self.low) if self.falls else (self.low, self.high)
        colours = ",".join(f"rgb{one}".replace(" ", "") for one in _VIRIDIS)
        return Html(
            f'<div class="ramp"><span>{value(ends[0])}</span><i style="background:linear-gradient(90deg,{colours})"></i>'
            f"<span>{value(ends[1])}</span><span>brighter is better</span></div>"
        )


def heat_map(
    caption: str, settings: Settings, squares: Mapping[str, Square], *, falls: bool
) -> Html:
    """Draw the grid: the last parameter from left to right, the others from top to bottom.

    Args:
        caption: A sentence.
        settings: The grid.
        squares: Name of a setting to what is shown of it.
        falls: Whether less is better.
    """
    *down, across = settings.axes or ("",)
    columns = settings.levels(across) if across else [""]
    rows: dict[tuple[str, ...], dict[str, Setting]] = {}
    for one in settings.all:
        row = tuple(one.levels[axis] for axis in down)
        rows.setdefault(row, {})[one.levels.get(across, "")] = one
    scale = Scale.over(list(squares.values()), falls=falls)
    heads = "".join(f'<th scope="col">{escape(level)}</th>' for level in columns)
    named = "".join(f'<th class="axis" scope="col">{escape(axis)}</th>' for axis in down)
    blank = f'<th colspan="{len(down)}"></th>' if down else ""
    top = f'<thead><tr>{blank}<th class="axis" scope="colgroup" colspan="{len(columns)}">{escape(across)}</th></tr><tr>{named}{heads}</tr></thead>'
    body = "".join(
        "<tr>"
        + "".join(f'<th scope="row">{escape(level)}</th>' for level in row)
        + "".join(_square(found.get(level), squares, scale) for level in columns)
        + "</tr>"
        for row, found in _sorted(rows, settings, down)
    )
    table = framed_table(caption, f"{top}<tbody>{body}</tbody>", kind="heat")
    return Html(table + (scale.legend() if scale.high > scale.low else ""))


def _sorted(
    rows: Mapping[tuple[str, ...], dict[str, Setting]], settings: Settings, down: Sequence[str]
) -> list[tuple[tuple[str, ...], dict[str, Setting]]]:
    places = [{level: place for place, level in enumerate(settings.levels(axis))} for axis in down]
    return sorted(
        rows.items(),
        key=lambda pair: [at[level] for at, level in zip(places, pair[0], strict=True)],
    )


def _square(setting: Setting | None, squares: Mapping[str, Square], scale: Scale) -> str:
    if setting is None:
        return '<td class="absent"></td>'
    one = squares[setting.name]
    measured = _is_measured(one)
    sign = {"running": "…", "failed": "✕", "waiting": "·"}.get(one.kind, "")
    shown: Html | str = value(one.mean) if measured else sign
    if one.link:
        shown = Html(f'<a href="{escape(one.link)}">{shown}</a>')
    style = f' style="{scale.style(one.mean)}"' if measured else ""
    title = escape_text(f"{setting.name}: {one.below or 'one seed'}")
    return f'<td class="{one.kind}"{style} title="{title}">{shown}<small>{escape(one.below)}</small></td>'


def _is_measured(one: Square) -> bool:
    return one.kind == "measured"


def _colour(part: float) -> tuple[int, int, int]:
    at = min(1.0, max(0.0, part)) * (len(_VIRIDIS) - 1)
    index = min(int(at), len(_VIRIDIS) - 2)
    pairs = zip(_VIRIDIS[index], _VIRIDIS[index + 1], strict=True)
    red, green, blue = (round(a + (b - a) * (at - index)) for a, b in pairs)
    return red, green, blue


def _luminance(colour: tuple[int, int, int]) -> float:
    """How bright a colour is, as WCAG 2 counts it."""
    linear = [
        part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4
        for part in (one / 255 for one in colour)
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
