"""`python -m benchmarks.plot`: draw `docs/figures/papers.svg` from the runs in `papers.json`.

One panel a setting: test accuracy, made monotone as in the paper, of the runs that are in the
figures (seeds from 1 on), with our median number of rounds to the target and the paper's as
vertical lines. The ground is transparent and every ink stands out on white and on black.
"""

from __future__ import annotations

import json
import statistics
from itertools import accumulate

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.drawing import BLUE, INK, ORANGE, save, soften
from benchmarks.papers import CASES, RESULTS, Case, Outcome

OURS, PAPER = BLUE, ORANGE


def main() -> None:
    """Draw what has been run so far."""
    outcomes = [Outcome(**line) for line in json.loads(RESULTS.read_text(encoding="utf-8"))]
    save(draw(outcomes), RESULTS.stem)


def draw(outcomes: list[Outcome]) -> Figure:
    """One panel for each setting, beside each other."""
    figure = Figure(figsize=(4 * len(CASES), 3.6), layout="constrained")
    panels = figure.subplots(1, len(CASES), squeeze=False)[0]
    for axes, case in zip(panels, CASES, strict=True):
        _panel(axes, case, [one for one in outcomes if one.case == case.name and one.seed > 0])
    panels[0].set_ylabel("best test accuracy so far", color=INK)
    return figure


def _panel(axes: Axes, case: Case, runs: list[Outcome]) -> None:
    soften(axes)
    axes.set_title(case.name, color=INK, fontsize=10)
    axes.set_xlabel("round", color=INK)
    axes.axhline(case.target, color=INK, linewidth=0.8, linestyle=":")
    axes.axvline(case.paper, color=PAPER, linewidth=1.5, label=f"paper: {case.paper} rounds")
    longest = case.paper
    for run in runs:
        best = list(accumulate(run.curve, max))
        longest = max(longest, len(best))
        axes.plot(range(1, len(best) + 1), best, color=OURS, linewidth=0.9, alpha=0.8)
    if runs:
        met = statistics.median(run.rounds_to_target or case.most_rounds for run in runs)
        label = f"flnb, median of {len(runs)}: {met:g}"
        axes.axvline(met, color=OURS, linewidth=1.5, linestyle="--", label=label)
    else:
        axes.text(0.5, 0.5, "not run yet", color=INK, ha="center", transform=axes.transAxes)
    axes.set_xlim(0, 1.08 * longest)
    axes.set_ylim(case.target - 0.12, min(1.0, case.target + 0.02))
    legend = {"frameon": False, "labelcolor": INK, "fontsize": 8, "ncols": 2}
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.18), **legend)


if __name__ == "__main__":
    main()
