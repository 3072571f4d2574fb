"""Curves of several runs over each other; sources are kept, so zoom stays when points come."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
import panel as pn
from bokeh.models import ColumnDataSource, HoverTool

from flnb.dashboards import plots
from flnb.dashboards.theme import HUES

MOST = 14
"""Curves that can be told apart: seven colours, solid and dashed."""


class Overlay:
    """A linear and a logarithmic figure, of which one is seen; curves by name."""

    def __init__(self) -> None:
        self._sources = [ColumnDataSource({"x": [], "y": [], "run": []}) for _ in range(MOST)]
        self._figures = {False: self._figure("linear"), True: self._figure("log")}
        self._panes = {
            log: pn.Column(
                pn.pane.Bokeh(one, sizing_mode="stretch_width", margin=0),
                sizing_mode="stretch_width",
                margin=0,
                visible=not log,
            )
            for log, one in self._figures.items()
        }
        self.view = pn.Column(*self._panes.values(), sizing_mode="stretch_width", margin=0)

    def _figure(self, scale: str) -> Any:
        made = plots.plain_figure("round", "value", height=320, y_axis_type=scale)
        dots = []
        for index, source in enumerate(self._sources):
            style = {"color": colour_of(index), "source": source}
            dash = "dashed" if index >= len(HUES) else "solid"
            made.line("x", "y", line_width=2, line_dash=dash, **style)
            dots.append(made.scatter("x", "y", size=4, **style))
        told = [("run", "@run"), ("at", "@x{0,0}"), ("value", "@y{0.0000}")]
        made.add_tools(HoverTool(renderers=dots, tooltips=told))
        return made

    def show(
        self,
        curves: Mapping[str, pd.DataFrame],
        x: str,
        *,
        words_x: str,
        words_y: str,
        log_y: bool,
    ) -> None:
        """Draw curves.

        Args:
            curves: Name of a run to its values, with a column `value`.
            x: Column that they go by.
            words_x: What that is, with its unit.
            words_y: What the value is.
            log_y: Whether the vertical axis is logarithmic.
        """
        named = list(curves.items())[:MOST]
        for index, source in enumerate(self._sources):
            name, frame = named[index] if index < len(named) else ("", pd.DataFrame())
            xs = frame[x].to_list() if len(frame) else []
            ys = frame["value"].to_list() if len(frame) else []
            if list(source.data["x"]) != xs or list(source.data["y"]) != ys:
                source.data = {"x": xs, "y": ys, "run": [name] * len(xs)}
        for log, figure in self._figures.items():
            plots.count_in_wholes(figure.xaxis[0], wanted=x == "round")
            figure.xaxis[0].axis_label, figure.yaxis[0].axis_label = words_x.lower(), words_y
            self._panes[log].visible = log == log_y


def colour_of(index: int) -> str:
    """The colour of the n-th curve."""
    return HUES[index % len(HUES)]
