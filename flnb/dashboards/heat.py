"""A strip of clients by rounds as one image: a glyph a client would freeze a browser."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from bokeh.models import BasicTicker, ColumnDataSource, FixedTicker, HoverTool, LinearColorMapper
from bokeh.models.annotations import ColorBar
from bokeh.palettes import Viridis256

from flnb.dashboards import plots

_ROW_PX, _AROUND_PX = 16, 96
_LONGEST_NAME = 14


class Heat:
    """Clients from top to bottom, rounds from left to right, one colour a value.

    Args:
        rows: Most clients that are shown.
    """

    def __init__(self, rows: int) -> None:
        self._rows = rows
        self._source = ColumnDataSource({"image": [], "x": [], "y": [], "dw": [], "dh": []})
        self._mapper = LinearColorMapper(palette=Viridis256, nan_color="rgba(0,0,0,0)")
        self.figure = plots.plain_figure("round", "client", height=_AROUND_PX + _ROW_PX * 4)
        self.figure.ygrid.visible = False
        self.figure.xaxis[0].ticker = BasicTicker(desired_num_ticks=4, min_interval=1)
        drawn = self.figure.image(
            "image", "x", "y", "dw", "dh", source=self._source, color_mapper=self._mapper
        )
        self.figure.x_range.range_padding = self.figure.y_range.range_padding = 0
        self.figure.add_tools(HoverTool(renderers=[drawn], tooltips=[("value", "@image{0.0000}")]))
        bar = ColorBar(
            color_mapper=self._mapper, width=8, background_fill_color=None,
            ticker=BasicTicker(desired_num_ticks=4),
        )  # fmt: skip
        self.figure.add_layout(bar, "right")

    def show(self, values: pd.DataFrame, order: Sequence[str]) -> None:
        """Draw values.

        Args:
            values: `client round value`; what is missing stays empty.
            order: Names of clients, the first at the top.
        """
        clients = list(order)[: self._rows]
        table = values.pivot_table(index="client", columns="round", values="value")
        table = table.reindex(clients[::-1])  # Bokeh draws from the bottom
        if not table.size:
            self._source.data = {str(name): [] for name in self._source.data}
            return
        first, last = int(table.columns.min()), int(table.columns.max())
        image = table.reindex(columns=range(first, last + 1)).to_numpy(np.float32)
        finite = image[np.isfinite(image)]
        self._mapper.update(
            low=float(finite.min()) if finite.size else 0.0,
            high=float(finite.max()) if finite.size else 1.0,
        )
        height, width = image.shape
        self._source.data = {
            "image": [image], "x": [first - 0.5], "y": [-0.5], "dw": [width], "dh": [height],
        }  # fmt: skip
        axis = self.figure.yaxis[0]
        axis.ticker = FixedTicker(ticks=list(range(height)))
        axis.major_label_overrides = {
            float(i): _short(str(name)) for i, name in enumerate(table.index)
        }
        self.figure.height = _AROUND_PX + _ROW_PX * height


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"
