"""Studies as frames, made of numbers alone: what a report is drawn from, without a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np
import pandas as pd

from flnb.experiments.report.of_study import StudyFacts

ALPHAS, STRATEGIES = (0.1, 0.3, 1.0, 3.0, 100.0), ("fedavg", "fedprox", "fedadam", "fedyogi")
_METRICS = ("accuracy", "loss", "training_loss")


def study(
    alphas: Sequence[float] = ALPHAS[:2],
    strategies: Sequence[str] = STRATEGIES[:2],
    seeds: int = 3,
    rounds: int = 30,
    outcomes: Mapping[int, str] | None = None,
    name: str = "alpha",
) -> StudyFacts:
    """A grid of alpha by strategy that behaves as grids do: skewed labels and plain averaging are worse.

    Args:
        alphas: Levels of one parameter.
        strategies: Levels of the other.
        seeds: Cells of each setting.
        rounds: Of each run.
        outcomes: Position of a cell to what became of it, where it did not finish.
        name: Of the study.
    """
    cells, curves = list[dict[str, Any]](), list[pd.DataFrame]()
    for position, (alpha, strategy, seed) in enumerate(product(alphas, strategies, range(seeds))):
        outcome = (outcomes or {}).get(position, "finished")
        run = f"{name}-{position:08x}" if outcome in {"finished", "running"} else ""
        curve = _curve(alpha, strategies.index(strategy), seed, rounds)
        given = {"alpha": alpha, "strategy": strategy, "rounds_": rounds, "seed": seed}
        facts = {
            "position": position, "outcome": outcome, "run": run, "attempts": 1, "origin": "", "asked": True,
            "why": "ZeroDivisionError: division by zero" if outcome == "failed" else "",
            "seconds_s": 20.0 + position % 7, "rounds": float(rounds) if run else np.nan,
            "bytes_up": float(curve["bytes_up"].max()) if run else np.nan, "key": f"{position:016x}",
            "notebook": f"studies/{name}/{position:016x}/out.ipynb" if run else "",
        }  # fmt: skip
        cells.append({**given, **facts, **(_last(curve) if run else {})})
        if run:
            curves.append(curve.assign(run=run))
    frame = pd.DataFrame(cells)
    return StudyFacts(
        name=name,
        cells=frame,
        parameters=("alpha", "strategy", "rounds_"),
        curves=pd.concat(curves, ignore_index=True) if curves else pd.DataFrame(columns=["run", "round", "bytes_up", "metric", "value"]),
        asked_for={"recipe": "fedavg.ipynb", "seeds": str(seeds), "deadline of a cell": "10 min"},
        environments={"Python 3.11.7, torch 2.13.0, x86_64": len(curves)},
        links={one["key"]: f"{one['key']}/out.html" for one in cells if one["notebook"]},
    )  # fmt: skip


def _curve(alpha: float, strategy: int, seed: int, rounds: int) -> pd.DataFrame:
    """Accuracy that rises to a ceiling, and losses that fall, with noise that its names alone decide."""
    noise = np.random.default_rng([int(alpha * 1000), strategy, seed])
    number = np.arange(1, rounds + 1)
    ceiling = 0.95 - 0.25 / (1 + 4 * alpha) + 0.02 * strategy / (1 + alpha) + noise.normal(0, 0.008)
    accuracy = ceiling * (1 - np.exp(-number / (4 + 2 / (1 + alpha))))
    accuracy = np.clip(accuracy + noise.normal(0, 0.02 / (1 + alpha), rounds), 0, 1)
    values = (accuracy, 2.3 - 2.2 * accuracy, 2.2 - 2.1 * accuracy)
    sent = number * 812_000.0
    parts = [
        pd.DataFrame({"round": number, "bytes_up": sent, "metric": name, "value": measured})
        for name, measured in zip(_METRICS, values, strict=True)
    ]
    return pd.concat(parts, ignore_index=True)


def _last(curve: pd.DataFrame) -> dict[str, float]:
    by_metric = curve.groupby("metric", sort=False)["value"]
    last, least, most = by_metric.last(), by_metric.min(), by_metric.max()
    best = {f"best_{name}": float((most if name == "accuracy" else least)[name]) for name in _METRICS}  # fmt: skip
    return {name: float(last[name]) for name in _METRICS} | best
