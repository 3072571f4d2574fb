"""Several runs or branches side by side: curves, last rounds, and where their plans differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from flnb.core import cards
from flnb.core.errors import NotFoundError, PlanError
from flnb.store import Table, settings_viewed

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from flnb.coordinator.run import Run

AXES = ("round", "seconds", "bytes_up")
_AXIS_WORDS = {"round": "Round", "seconds": "Seconds of rounds", "bytes_up": "Bytes sent up"}


def compare(*runs: Run) -> Comparison:
    """Put runs, or branches of one, side by side.

    Raises:
        PlanError: Fewer than two, or the same twice.
    """
    if len({run.id for run in runs}) < 2 or len({run.id for run in runs}) < len(runs):
        raise PlanError(f"compare takes two or more different runs, got {len(runs)}")
    return Comparison(runs)


class Comparison:
    """Runs side by side; a snapshot of the moment it was made.

    Args:
        runs: Two or more.
        clients: Whether the plans may name the clients that they leave out.
    """

    def __init__(self, runs: Sequence[Run], *, clients: bool = True) -> None:
        self._runs = tuple(runs)
        self._frame = _frame(runs)
        plans = {run.name: run.plan.model_dump(mode="json") for run in runs}
        shown = plans if clients else {name: settings_viewed(plan) for name, plan in plans.items()}
        self.plans = differing(shown)
        """Settings that are not the same in all plans, a column a run."""

    def df(self) -> pd.DataFrame:
        """Tidy: run, round, seconds and bytes_up so far, metric, value (measured centrally)."""
        return self._frame.copy()

    def plot(self, metric: str, x: str = "round") -> Axes:
        """Draw a metric of all runs, with matplotlib.

        Args:
            metric: Measured centrally, such as `accuracy`.
            x: `round`, `seconds` or `bytes_up`.

        Raises:
            NotFoundError: No run was measured by it, or there is no such axis.
        """
        known = sorted(set(self._frame["metric"]))
        if metric not in known:
            raise NotFoundError("metric", metric, known)
        if x not in AXES:
            raise NotFoundError("axis", x, AXES)
        from matplotlib import pyplot

        _, axes = pyplot.subplots(figsize=(7, 4))
        for run in self._runs:
            mine = self._frame.query("run == @run.name and metric == @metric")
            axes.plot(mine[x], mine["value"], label=run.name, linewidth=1.5)
        axes.set(xlabel=_AXIS_WORDS[x], ylabel=metric, title=f"{metric} of {len(self._runs)} runs")
        axes.legend(frameon=False)
        axes.spines[["top", "right"]].set_visible(False)
        return axes

    def __repr__(self) -> str:
        """Last rounds, then where the plans differ."""
        return f"{self._last()!r}\n\n{self.plans!r}"

    def _repr_mimebundle_(self, **_: object) -> Mapping[str, str]:
        parts = [
            cards.quiet("last round of each"),
            cards.Html(self._last()._repr_mimebundle_()["text/html"]),
            cards.quiet("settings that differ"),
            cards.Html(self.plans._repr_mimebundle_()["text/html"]),
        ]
        return cards.bundle(repr(self), cards.framed(*parts))

    def _last(self) -> Table:
        columns: dict[str, list[Any]] = {"run": [], "status": [], "round": []}
        names = sorted(
            {name for run in self._runs for row in run.view.rows for name in row.metrics}
        )
        columns |= {name: [] for name in names}
        for run in self._runs:
            view = run.view
            newest = view.rows[0].metrics if view.rows else {}
            columns["run"].append(run.name)
            columns["status"].append(str(view.status))
            columns["round"].append(view.round)
            for name in names:
                columns[name].append(newest.get(name))
        return Table.of(columns)


def _frame(runs: Sequence[Run]) -> pd.DataFrame:
    import pandas as pd

    parts = []
    for run in runs:
        rounds = run.rounds.df()[["round", "seconds_s", "bytes_up"]]
        so_far = rounds.assign(
            seconds=rounds["seconds_s"].cumsum(), bytes_up=rounds["bytes_up"].cumsum()
        )
        metrics = run.metrics.df().query("scope == 'central'")[["round", "metric", "value"]]
        merged = metrics.merge(so_far[["round", "seconds", "bytes_up"]], on="round")
        parts.append(merged.assign(run=run.name))
    columns = ["run", "round", "seconds", "bytes_up", "metric", "value"]
    return pd.concat(parts, ignore_index=True)[columns]


def differing(plans: Mapping[str, Mapping[str, Any]]) -> Table:
    """Settings that are not the same in all plans, a column a plan."""
    flat = {name: dict(leaves(plan)) for name, plan in plans.items()}
    settings = sorted({setting for plan in flat.values() for setting in plan})
    differing = [
        setting
        for setting in settings
        if len({str(plan.get(setting)) for plan in flat.values()}) > 1
    ]
    columns: dict[str, list[str]] = {"setting": differing}
    for name, plan in flat.items():
        columns[name] = [str(plan.get(setting, "–")) for setting in differing]
    return Table.of(columns)


def leaves(value: Any, path: str = "") -> list[tuple[str, Any]]:
    """The settings of a plan one by one, each by its path, such as `strategy.local.lr`."""
    if not isinstance(value, Mapping):
        return [(path, value)]
    return [
        leaf
        for key, inner in value.items()
        for leaf in leaves(inner, f"{path}.{key}" if path else str(key))
    ]
