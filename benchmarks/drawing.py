"""How committed figures look: on white and on black ground alike, and the same file from the same numbers."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

FIGURES = Path(__file__).parents[1] / "docs/figures"
INK = "#808080"
"""Of everything that is no measurement."""
BLUE, ORANGE, GREEN, RED = "#2a8fdb", "#e07b00", "#2ca25f", "#d6455d"


def soften(axes: Axes) -> None:
    """Leave two sides of the frame, in the ink of words."""
    axes.tick_params(colors=INK, labelsize=8)
    for side, spine in axes.spines.items():
        spine.set_color(INK)
        spine.set_visible(side in {"left", "bottom"})


def save(figure: Figure, name: str) -> None:
    """Write a figure to `docs/figures/NAME.svg`."""
    mpl.rcParams["svg.hashsalt"], mpl.rcParams["svg.fonttype"] = name, "none"
    metadata = {"Date": None, "Creator": None}
    figure.savefig(FIGURES / f"{name}.svg", transparent=True, metadata=metadata)
