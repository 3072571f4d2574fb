"""Charts: Bokeh figures that get new points over the socket, one source each, zoom kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
from bokeh.models import ColumnDataSource, HoverTool, NumeralTickFormatter
from bokeh.plotting import figure

from flnb.dashboards.queries import OUTCOMES
from flnb.dashboards.theme import OKABE_ITO

_OUTCOME_COLOURS = ("#0072B2", "#E69F00", "#8a9099", "#D55E00", "#CC79A7")
_OF_BAND = ("round", "low", "mid", "high")
_MARGIN = 36


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
    return made


class Curve:
    """A metric by round: the global model's line, and the band of the clients where there is one."""

    def __init__(self, y_label: str) -> None:
        self._line = ColumnDataSource({"round": [], "value": []})
        self._band = ColumnDataSource({name: [] for name in _OF_BAND})
        self._shown: tuple[object, ...] = ()
        self.figure = plain_figure("round", y_label)
        accent, second = OKABE_ITO[0], OKABE_ITO[1]
        self.figure.varea(
            "round", "low", "high", source=self._band, fill_color=second, fill_alpha=0.22
        )
        self._middle = self.figure.line(
            "round", "mid", source=self._band, color=second, width=1.5, line_dash="dashed"
        )
        line = self.figure.line("round", "value", source=self._line, color=accent, width=2)
        dots = self.figure.scatter("round", "value", source=self._line, color=accent, size=5)
        shown = [("round", "@round"), ("value", "@value{0.0000}")]
        self.figure.add_tools(HoverTool(renderers=[dots], tooltips=shown, mode="vline"))
        band = [("clients", "@low{0.000} – @mid{0.000} – @high{0.000}")]
        self.figure.add_tools(HoverTool(renderers=[self._middle], tooltips=band, mode="vline"))
        self._line_renderer = line

    def show(self, kind: tuple[object, ...], line: pd.DataFrame, band: pd.DataFrame) -> None:
        """Bring it up to date; only what is new travels.

        Args:
            kind: What is drawn; another kind replaces everything.
            line: `round value`.
            band: `round low mid high`, may be empty.
        """
        if kind != self._shown:
            self._shown = kind
            self._line.data = {name: line[name].to_list() for name in ("round", "value")}
            self._band.data = {name: band[name].to_list() for name in _OF_BAND}
            return
        _stream(self._line, line)
        _stream(self._band, band)

    def name_y(self, label: str) -> None:
        """Name the vertical axis."""
        if self.figure.yaxis[0].axis_label != label:
            self.figure.yaxis[0].axis_label = label


class Outcomes:
    """What became of the clients of the last rounds, a stacked bar a round."""

    def __init__(self, most: int = 30) -> None:
        self._most = most
        self._shown: pd.DataFrame | None = None
        names = ("round", "seconds", "closed_by", "saved", *OUTCOMES)
        self._source = ColumnDataSource({name: [] for name in names})
        self.figure = plain_figure("round", "clients", height=220)
        self.figure.vbar_stack(
            list(OUTCOMES),
            x="round",
            width=0.8,
            source=self._source,
            color=list(_OUTCOME_COLOURS),
            line_color=None,
        )
        self.figure.yaxis.formatter = NumeralTickFormatter(format="0")
        self.figure.y_range.start = 0
        told = [(name, f"@{name}") for name in ("round", *OUTCOMES)]
        told += [("took", "@seconds"), ("closed by", "@closed_by"), ("saved", "@saved")]
        self.figure.add_tools(HoverTool(tooltips=told, mode="vline"))

    def show(self, rounds: pd.DataFrame) -> None:
        """Show the last of these rounds."""
        if rounds is self._shown:  # what grew, or is of another run, is another frame
            return
        self._shown, last = rounds, rounds.tail(self._most)
        self._source.data = {
            "round": last["round"].to_list(),
            "seconds": [f"{value:.3g} s" for value in last["seconds_s"]],
            "closed_by": last["closed_by"].to_list(),
            "saved": [(one or "not")[:8] for one in last["snapshot"].fillna("")],
            **{name: last[name].to_list() for name in OUTCOMES},
        }


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
    return legend(dict(zip(OUTCOMES, _OUTCOME_COLOURS, strict=True)))


def _stream(source: ColumnDataSource, now: pd.DataFrame) -> None:
    """Append the rows that are not there yet."""
    known, rounds = source.data["round"], now["round"].to_numpy()
    first = int(rounds.searchsorted(known[-1], "right")) if len(known) else 0
    if first < len(rounds):
        source.stream({str(name): now[str(name)].iloc[first:].to_list() for name in source.data})
