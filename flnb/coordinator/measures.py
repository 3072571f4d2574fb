"""What runs were measured by on the line to their heads: cells of a study are compared by that."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from flnb.coordinator.operations import Answers

if TYPE_CHECKING:
    from flnb.coordinator.lab import Lab

_ROWS, _PATIENCE_S = 10_000_000, 60.0
_ROUNDS = "SELECT run, max(round) AS rounds, sum(bytes_up)::BIGINT AS bytes_up FROM rounds WHERE {lines} GROUP BY run"
_METRICS = """
SELECT run, scope, metric, arg_max(value, round) AS last,
  min(value) FILTER (WHERE NOT isnan(value)) AS least, max(value) FILTER (WHERE NOT isnan(value)) AS most
FROM metrics WHERE {lines} GROUP BY run, scope, metric ORDER BY scope, metric, run
"""


@dataclass(frozen=True, slots=True)
class Measure:
    """A metric of a run."""

    last: float
    """In the last round."""
    least: float | None
    """Of all rounds; None when in none of them it was a number."""
    most: float | None


@dataclass(frozen=True, slots=True)
class Measured:
    """What a run was measured by."""

    rounds: int
    bytes_up: int
    metrics: Mapping[str, Measure] = field(default_factory=dict)
    """What was measured at clients is called `federated_…`, what while training `training_…`."""


def measured(lab: Lab, runs: Collection[str], ask: Answers | None = None) -> dict[str, Measured]:
    """What each run was measured by; one without a closed round is left out.

    Args:
        lab: Where the runs are.
        runs: Their names.
        ask: Answers for whoever looks; by default the lab.
    """
    lines = " OR ".join(f"({line})" for line in lines_of(lab, runs))
    if not lines:
        return {}
    ask, metrics = ask or lab.sql, dict[str, dict[str, Measure]]()
    for row in ask(_METRICS.format(lines=lines), rows=_ROWS, timeout_s=_PATIENCE_S):
        of_run = metrics.setdefault(row["run"], {})
        name = column_of(row["scope"], row["metric"])
        of_run[name] = Measure(row["last"], row["least"], row["most"])
    rounds = ask(_ROUNDS.format(lines=lines), rows=_ROWS, timeout_s=_PATIENCE_S)
    return {
        row["run"]: Measured(row["rounds"], row["bytes_up"], metrics.get(row["run"], {}))
        for row in rounds
    }


def column_of(scope: str, metric: str) -> str:
    """What a metric is called in the table of a study.

    Examples:
        >>> column_of("central", "accuracy"), column_of("training", "loss")
        ('accuracy', 'training_loss')
    """
    return metric if scope == "central" else f"{scope}_{metric}"


def lines_of(lab: Lab, runs: Collection[str]) -> Iterator[str]:
    """The rounds that count of each run, in SQL: those that lead to its head, whatever was rolled back."""
    wanted = set(runs)
    for record in lab.store.state.runs():
        if record.name in wanted:
            yield lab.store.state.rows_of_line(record.id)
