"""`python -m benchmarks.roles LAB`: the study of `experiments/shakespeare_roles.yaml` as a table, and `docs/figures/shakespeare-roles.svg`.

LAB is where `flnb study run experiments/shakespeare_roles.yaml` was executed.
"""

from __future__ import annotations

import sys

import pandas as pd
from matplotlib.figure import Figure

from benchmarks.drawing import BLUE, GREEN, INK, ORANGE, RED, save, soften
from benchmarks.study_curves import accuracies

SETTINGS = {(1, 0): INK, (1, 50): GREEN, (1, 10): BLUE, (5, 50): ORANGE, (5, 10): RED}
"""E and B (0 is all at once), from the least work of a client in a round to the most."""


def main(address: str) -> None:
    """Print the table and draw the figure."""
    curves = accuracies(address, "shakespeare_roles", ["epochs", "batch_size", "seed"])
    print(table(curves))
    save(draw(curves), "shakespeare-roles")


def table(curves: pd.DataFrame) -> str:
    """The mean over seeds at four rounds, as Markdown; in brackets how far the seeds are apart."""
    rounds = [int(each) for each in curves.columns]
    shown = [rounds[len(rounds) * part // 4 - 1] for part in (1, 2, 3, 4)]
    lines = [f"| E | B | {' | '.join(f'round {each}' for each in shown)} |"]
    lines.append("|--:|--:|" + "--:|" * len(shown))
    for epochs, batch in SETTINGS:
        seeds = _seeds(curves, epochs, batch)
        told = (f"{seeds[each].mean():.3f} ({_apart(seeds[each]):.3f})" for each in shown)
        lines.append(f"| {epochs} | {batch or '∞'} | {' | '.join(told)} |")
    return "\n".join(lines)


def _seeds(curves: pd.DataFrame, epochs: int, batch: int) -> pd.DataFrame:
    level = curves.index.get_level_values
    return pd.DataFrame(curves[(level("epochs") == epochs) & (level("batch_size") == batch)])


def _apart(seeds: pd.Series[float]) -> float:
    return float(seeds.max() - seeds.min())


def draw(curves: pd.DataFrame) -> Figure:
    """A line for each setting: the mean over seeds, and the band between them."""
    figure = Figure(figsize=(7, 3.4), layout="constrained")
    axes = figure.subplots()
    soften(axes)
    for (epochs, batch), colour in SETTINGS.items():
        seeds = _seeds(curves, epochs, batch)
        rounds = seeds.columns.to_numpy(int)
        axes.fill_between(rounds, seeds.min(), seeds.max(), color=colour, alpha=0.2, linewidth=0)
        label = f"E = {epochs}, B = {batch or '∞'}"
        axes.plot(rounds, seeds.mean(), color=colour, linewidth=1.4, label=label)
    axes.set_xlabel("round", color=INK)
    axes.set_ylabel("test accuracy", color=INK)
    lines, names = axes.get_legend_handles_labels()  # in the order in which they stand at the end
    words = {"frameon": False, "labelcolor": INK, "fontsize": 8}
    axes.legend(lines[::-1], names[::-1], loc="center left", bbox_to_anchor=(1.0, 0.5), **words)
    return figure


if __name__ == "__main__":
    main(sys.argv[1])
