"""Charts: Bokeh figures that get new points over the socket, one source each, zoom kept."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import pandas as pd
from bokeh.models import ColumnDataSource, HoverTool, NumeralTickFormatter
from bokeh.plotting import figure

from flnb.dashboards.queries import OUTCOMES
from flnb.dashboards.theme import GREY, HUES

OUTCOME_COLOURS = dict(zip(OUTCOMES, (HUES[0], HUES[1], GREY, HUES[5], HUES[3]), strict=True))
_MARGIN = 36
_COUNTED = ("round", "clients")
"""What comes in whole numbers."""
BARS = 30
"""So many rounds are shown as bars."""

Columns = Mapping[str, list[Any]]
"""What a chart is drawn of, as it travels; made once for all sessions that show it."""
LINE, BAND = ("round", "value"), ("round", "low", "mid", "high")
NO_BAND: Columns = MappingProxyType({name: list[Any]() for name in BAND})


def columns(frame: pd.DataFrame, names: Sequence[str]) -> Columns:
    """Some columns of a frame, for a chart."""
    return {name: frame[name].to_list() for name in names}


def plain_figure(x_label: str, y_label: str, height: int = 280, **options: Any) -> Any:
    """A figure in the style of all pages: named axes, toolbar on hover, no logo."""
    made = figure(
        height=height,
        sizing_mode="stretch_width",
        tools="pan,box_zoom,wheel_zoom,reset,save",
        toolbar_location="above",
        x_axis_label=x_label,
        y_axis_label=y_label,
        background_fill_color=None,
        border_fill_color=None,
        outline_line_color=None,
        min_border_left=_MARGIN,
        **options,
    )
    made.toolbar.logo = None
    made.toolbar.autohide = True
    made.xgrid.visible = False
    for axis in made.axis:
        axis.axis_label_text_font_style = "normal"
        axis.axis_line_color, axis.minor_tick_line_color = None, None
    count_in_wholes(made.xaxis[0], wanted=x_label in _COUNTED)
    count_in_wholes(made.yaxis[0], wanted=y_label in _COUNTED)
    return made


def count_in_wholes(axis: Any, *, wanted: bool) -> None:
    """Let no tick stand between two whole numbers: there is no round 1.5."""
    axis.ticker.min_interval = 1 if wanted else 0


class Curve:
    """A metric by round: the global model's line, and the band of the clients where there is one."""

    def __init__(self, y_label: str) -> None:
        self._line = ColumnDataSource({"round": [], "value": []})
        self._band = ColumnDataSource(_copied(NO_BAND))
        self._shown: tuple[object, ...] = ()
        self.figure = plain_figure("round", y_label)
        accent, second = HUES[0], HUES[1]
        self.figure.varea(
            "round", "low", "high", source=self._band, fill_color=second, fill_alpha=0.22
        )
        self._middle = self.figure.line(
            "round", "mid", source=self._band, color=second, width=1.5, line_dash="dashed"
        )
        line = self.figure.line("round", "value", source=self._line, color=accent, width=2.5)
        dots = self.figure.scatter("round", "value", source=self._line, color=accent, size=5)
        shown = [("round", "@round"), ("value", "@value{0.0000}")]
        self.figure.add_tools(HoverTool(renderers=[dots], tooltips=shown, mode="vline"))
        band = [("clients", "@low{0.000} – @mid{0.000} – @high{0.000}")]
        self.figure.add_tools(HoverTool(renderers=[self._middle], tooltips=band, mode="vline"))
        self._line_renderer = line

    def show(self, kind: tuple[object, ...], line: Columns, band: Columns = NO_BAND) -> None:
        """Bring it up to date; only what is new travels.

        Args:
            kind: What is drawn; another kind replaces everything.
            line: `round value`.
            band: `round low mid high`, may be empty.
        """
        if kind != self._shown:
            self._shown = kind
            self._line.data, self._band.data = _copied(line), _copied(band)
            return
        _stream(self._line, line)
        _stream(self._band, band)

    def name_y(self, label: str) -> None:
        """Name the vertical axis."""
        if self.figure.yaxis[0].axis_label != label:
            self.figure.yaxis[0].axis_label = label


@dataclass(frozen=True, slots=True, eq=False)
class Bars:
    """What became of the clients of some rounds, as `Outcomes` draws it."""

    line: Hashable
    """Of which run; rounds of another line of it are others, though their numbers are the same."""
    columns: dict[str, list[Any]]

    @classmethod
    def of(cls, line: Hashable, rounds: pd.DataFrame, most: int = BARS) -> Bars:
        """Those of the last rounds."""
        last = rounds.tail(most)
        return cls(
            line,
            {
                "round": last["round"].to_list(),
                "seconds": [f"{value:.3g} s" for value in last["seconds_s"]],
                "closed_by": last["closed_by"].to_list(),
                "saved": [(one or "not")[:8] for one in last["snapshot"].fillna("")],
                **{name: last[name].to_list() for name in OUTCOMES},
            },
        )

    def after(self, shown: Bars) -> dict[str, Any] | None:
        """The bars that others lack; None if these do not follow them."""
        rounds, before = self.columns["round"], shown.columns["round"]
        if self.line != shown.line or not before or before[-1] not in rounds:
            return None
        first = rounds.index(before[-1]) + 1
        return {name: values[first:] for name, values in self.columns.items()}


class Outcomes:
    """What became of the clients of the last rounds, a stacked bar a round."""

    def __init__(self, most: int = BARS) -> None:
        self._most = most
        self._shown: Bars | None = None
        names = ("round", "seconds", "closed_by", "saved", *OUTCOMES)
        self._source = ColumnDataSource({name: [] for name in names})
        self.figure = plain_figure("round", "clients", height=220)
        self.figure.vbar_stack(
            list(OUTCOMES),
            x="round",
            width=0.8,
            source=self._source,
            color=list(OUTCOME_COLOURS.values()),
            line_color=None,
        )
        self.figure.yaxis.formatter = NumeralTickFormatter(format="0")
        self.figure.y_range.start = 0
        told = [(name, f"@{name}") for name in ("round", *OUTCOMES)]
        told += [("took", "@seconds"), ("closed by", "@closed_by"), ("saved", "@saved")]
        self.figure.add_tools(HoverTool(tooltips=told, mode="vline"))

    def show(self, bars: Bars) -> None:
        """Show bars; of the run that is shown already only the new ones travel."""
        before, self._shown = self._shown, bars
        if before is bars:
            return
        new = bars.after(before) if before is not None else None
        if new is None:
            self._source.data = _copied(bars.columns)
        elif len(new["round"]):
            self._source.stream(new, rollover=self._most)


def legend(entries: Mapping[str, str]) -> str:
    """The colours of a chart in words, as HTML; charts have no legend that covers data."""
    return " ".join(
        f'<span class="key" style="white-space:nowrap;margin-right:16px"><span aria-hidden="true" '
        f'style="display:inline-block;width:12px;height:12px;border-radius:3px;background:{colour};'
        f'margin-right:6px;vertical-align:-1px"></span>{name}</span>'
        for name, colour in entries.items()
    )


def outcome_legend() -> str:
    """The colours of `Outcomes`."""
    return legend(OUTCOME_COLOURS)


def _copied(shared: Columns) -> dict[str, Any]:
    """A chart's own lists: what is streamed to a source is put at the end of the very lists it was given."""
    return {name: list(values) for name, values in shared.items()}


def _stream(source: ColumnDataSource, now: Columns) -> None:
    """Append the rows that are not there yet."""
    known, rounds = source.data["round"], now["round"]
    first = bisect_right(rounds, known[-1]) if len(known) else 0
    if first < len(rounds):
        new: dict[str, Any] = {name: values[first:] for name, values in now.items()}
        source.stream(new)
