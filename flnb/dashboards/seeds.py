"""Runs that are the same but for their seed: their mean and spread."""

from __future__ import annotations

import pandas as pd

from flnb.coordinator.history.comparing import Comparison

_COLUMNS = ["runs", "metric", "n", "mean", "sd"]


def over_seeds(comparison: Comparison) -> pd.DataFrame:
    """Mean and sample standard deviation of the last measured round, over seeds.

    Args:
        comparison: Of any runs.

    Returns:
        One row a group and metric: `runs metric n mean sd`. Runs whose plans differ in another
        setting than the seed are in no group, nor is one that is alone.
    """
    rows = list[dict[str, object]]()
    for names in _groups(comparison):
        last = comparison.df().query("run in @names").sort_values("round")
        last = last.groupby(["run", "metric"], sort=False)["value"].last().reset_index()
        for metric, values in last.groupby("metric", sort=False)["value"]:
            if len(values) > 1:
                told: dict[str, object] = {"runs": ", ".join(names), "metric": metric}
                told |= {"n": len(values), "mean": values.mean(), "sd": values.std(ddof=1)}
                rows.append(told)
    return pd.DataFrame(rows, columns=_COLUMNS)


def _groups(comparison: Comparison) -> list[list[str]]:
    """Names of runs with the same settings but the seed."""
    plans = comparison.plans.df().set_index("setting")
    settings = plans.drop(index="seed", errors="ignore")
    groups: dict[tuple[object, ...], list[str]] = {}
    for name in plans.columns:
        groups.setdefault(tuple(settings[name]), []).append(str(name))
    return [names for names in groups.values() if len(names) > 1]
