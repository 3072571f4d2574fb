"""`python -m benchmarks.label_skew LAB`: the study of `experiments/mnist_skew.yaml` as a table, and `docs/figures/mnist-skew.svg`.

LAB is where `flnb study run experiments/mnist_skew.yaml` was executed.
"""

from __future__ import annotations

import sys

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.drawing import BLUE, GREEN, INK, ORANGE, RED, save, soften
from benchmarks.study_curves import accuracies

COLOURS = {"fedavg": BLUE, "fedprox": GREEN, "fedadam": ORANGE, "fedyogi": RED}
_DASHES = {"fedprox": (3, 3), "fedyogi": (3, 3)}
"""Of lines that would hide another one."""
TARGET = 0.95
_LAST = 10
"""Rounds at the end that are looked at together: with great skew each round is far from the next."""


def main(address: str) -> None:
    """Print the table and draw the figure."""
    curves = accuracies(address, "mnist_skew", ["strategy", "alpha", "seed"])
    print(table(curves))
    save(draw(curves), "mnist-skew")


def table(curves: pd.DataFrame) -> str:
    """Each server and skew as Markdown: the end, how far rounds of the end differ, the way there."""
    alphas = sorted(curves.index.unique("alpha"))
    lines = [f"| server | {' | '.join(f'α = {alpha:g}' for alpha in alphas)} |"]
    lines.append("|---|" + "--:|" * len(alphas))
    for strategy in COLOURS:
        told = (_told(curves.loc[(strategy, alpha)]) for alpha in alphas)
        lines.append(f"| {strategy} | {' | '.join(told)} |")
    return "\n".join(lines)


def _told(seeds: pd.DataFrame) -> str:
    end = seeds.iloc[:, -_LAST:].mean(axis=1)
    reached = seeds.ge(TARGET)
    first = reached.idxmax(axis=1).where(reached.any(axis=1))
    rounds = f"{first.median():g}" if first.notna().all() else "–"
    return f"{end.mean():.3f} ± {end.std():.3f} ({rounds})"


def draw(curves: pd.DataFrame) -> Figure:
    """A panel for each skew: the mean over seeds as a line, the least and most of them as a band."""
    alphas = sorted(curves.index.unique("alpha"))
    figure = Figure(figsize=(11, 3.4), layout="constrained")
    panels = figure.subplots(1, len(alphas), sharey=True)
    for axes, alpha in zip(panels, alphas, strict=True):
        with_it = curves[curves.index.get_level_values("alpha") == alpha]
        _panel(axes, with_it.droplevel("alpha"), f"α = {alpha:g}")
    panels[0].set_ylabel("test accuracy", color=INK)
    panels[0].legend(frameon=False, labelcolor=INK, fontsize=8, loc="lower right")
    return figure


def _panel(axes: Axes, curves: pd.DataFrame, title: str) -> None:
    soften(axes)
    axes.set_title(title, color=INK, fontsize=10)
    axes.set_xlabel("round", color=INK)
    for strategy, colour in COLOURS.items():
        seeds = curves.loc[strategy]
        rounds = seeds.columns.to_numpy(int)
        axes.fill_between(rounds, seeds.min(), seeds.max(), color=colour, alpha=0.2, linewidth=0)
        (line,) = axes.plot(rounds, seeds.mean(), color=colour, linewidth=1.4, label=strategy)
        line.set_dashes(_DASHES.get(strategy, (None, None)))
    axes.set_ylim(0.5, 1.0)


if __name__ == "__main__":
    main(sys.argv[1])
