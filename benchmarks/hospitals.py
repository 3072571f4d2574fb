"""`python -m benchmarks.hospitals LAB`: the study of `experiments/heart.yaml` as tables, and `docs/figures/heart.svg`.

LAB is where `flnb study run experiments/heart.yaml` was executed. A hospital that trains alone is
measured on its own test patients, like all others; so the row `alone` is put together of four cells.
"""

from __future__ import annotations

import sys

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import flnb
from benchmarks.drawing import BLUE, INK, ORANGE, save, soften
from flnb.datasets.heart import HOSPITALS

TRAININGS = ("alone", "pooled", "fedavg", "fedprox", "fedadam")
MODELS = ("logistic", "net")
COLOURS = {"logistic": BLUE, "net": ORANGE}


def main(address: str) -> None:
    """Print the tables and draw the figure."""
    cells = flnb.open(address).study("heart").df()
    for metric in ("auc", "accuracy"):
        print(table(cells, metric), end="\n\n")
    save(draw(cells), "heart")


def folds(cells: pd.DataFrame, metric: str, model: str, training: str) -> pd.DataFrame:
    """Measurements in the last round: a row a seed, a column a hospital."""
    mine = cells[cells["model"] == model].set_index(["training", "seed"])
    columns = {
        hospital: mine.loc[hospital if training == "alone" else training, f"{metric}_{hospital}"]
        for hospital in HOSPITALS
    }
    return pd.DataFrame(columns).astype(float)


def table(cells: pd.DataFrame, metric: str) -> str:
    """Mean ± standard deviation over the seeds, for each hospital and their mean, as Markdown."""
    lines = [f"| model | training | {' | '.join(HOSPITALS)} | mean of the four |"]
    lines.append("|---|---|" + "--:|" * (len(HOSPITALS) + 1))
    for model in MODELS:
        for training in TRAININGS:
            found = folds(cells, metric, model, training)
            each = [*(found[hospital] for hospital in HOSPITALS), found.mean(axis=1)]
            told = (f"{values.mean():.3f} ± {values.std():.3f}" for values in each)
            lines.append(f"| {model} | {training} | {' | '.join(told)} |")
    return "\n".join(lines)


def draw(cells: pd.DataFrame) -> Figure:
    """AUC of each hospital, a panel each: every fold as a dot, means as bars."""
    figure = Figure(figsize=(11, 3.4), layout="constrained")
    panels = figure.subplots(1, len(HOSPITALS), sharey=True)
    for axes, hospital in zip(panels, HOSPITALS, strict=True):
        _panel(axes, cells, hospital)
    panels[0].set_ylabel("AUC of its test patients", color=INK)
    panels[0].legend(frameon=False, labelcolor=INK, fontsize=8, loc="lower left")
    return figure


def _panel(axes: Axes, cells: pd.DataFrame, hospital: str) -> None:
    soften(axes)
    axes.set_title(hospital, color=INK, fontsize=10)
    axes.axhline(0.5, color=INK, linewidth=0.8, linestyle=":")
    for shift, model in zip((-0.15, 0.15), MODELS, strict=True):
        for place, training in enumerate(TRAININGS):
            values = folds(cells, "auc", model, training)[hospital]
            at, colour = place + shift, COLOURS[model]
            axes.plot([at] * len(values), values, "o", color=colour, markersize=3, alpha=0.6)
            axes.hlines(values.mean(), at - 0.13, at + 0.13, color=colour, linewidth=2.5)
        axes.plot([], [], "-", color=COLOURS[model], linewidth=2.5, label=f"{model}, mean")
    axes.set_xticks(range(len(TRAININGS)), TRAININGS, rotation=45, color=INK, fontsize=8)


if __name__ == "__main__":
    main(sys.argv[1])
