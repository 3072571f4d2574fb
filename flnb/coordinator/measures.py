"""What runs were measured by on the line to their heads: cells of a study are compared by that."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from flnb.coordinator.operations import Answers
from flnb.store import Stretch

if TYPE_CHECKING:
    from flnb.coordinator.lab import Lab

_ROWS, _PATIENCE_S = 10_000_000, 60.0
ON_LINE = """line ON m.run = split_part(line.name, '/', 1) AND m.branch = line.branch
  AND m.generation = line.generation AND m.round > line.after AND m.round <= coalesce(line.last, m.round)"""
"""Joins a table of rounds, called `m`, with what `lines_of` names."""
_ROUNDS = f"""
WITH {{line}} SELECT line.name AS run, max(round) AS rounds, sum(bytes_up)::BIGINT AS bytes_up
FROM rounds AS m JOIN {ON_LINE} GROUP BY line.name
"""  # noqa: S608  # our own words
_METRICS = f"""
WITH {{line}} SELECT line.name AS run, scope, metric, arg_max(value, round) AS last,
  min(value) FILTER (WHERE NOT isnan(value)) AS least, max(value) FILTER (WHERE NOT isnan(value)) AS most
FROM metrics AS m JOIN {ON_LINE} GROUP BY line.name, scope, metric ORDER BY scope, metric, line.name
"""  # noqa: S608  # our own words
_LINE = """line AS (
  SELECT unnest(names) AS name, branch, generation, after, last
  FROM (VALUES {values}) AS stretch(names, branch, generation, after, last)
)"""
_CHARACTERS = 15_000
"""So many are named in one query, which has at most 20,000: that is hundreds of runs, or of roll backs of one."""


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
    ask, metrics, found = ask or lab.sql, dict[str, dict[str, Measure]](), dict[str, Measured]()
    for line in lines_of(lab, runs):
        for row in ask(_METRICS.format(line=line), rows=_ROWS, timeout_s=_PATIENCE_S):
            of_run = metrics.setdefault(row["run"], {})
            name = column_of(row["scope"], row["metric"])
            of_run[name] = _with_later(of_run.get(name), row)
        for row in ask(_ROUNDS.format(line=line), rows=_ROWS, timeout_s=_PATIENCE_S):
            of_run = metrics.get(row["run"], {})
            earlier = found[row["run"]].bytes_up if row["run"] in found else 0
            found[row["run"]] = Measured(row["rounds"], earlier + row["bytes_up"], of_run)
    return found


def _with_later(earlier: Measure | None, row: Mapping[str, Any]) -> Measure:
    """A metric of a run, with a row of later rounds: one that was rolled back often takes several queries."""
    if earlier is None:
        return Measure(row["last"], row["least"], row["most"])
    least = [one for one in (earlier.least, row["least"]) if one is not None]
    most = [one for one in (earlier.most, row["most"]) if one is not None]
    return Measure(row["last"], min(least, default=None), max(most, default=None))


def column_of(scope: str, metric: str) -> str:
    """What a metric is called in the table of a study.

    Examples:
        >>> column_of("central", "accuracy"), column_of("training", "loss")
        ('accuracy', 'training_loss')
    """
    return metric if scope == "central" else f"{scope}_{metric}"


def lines_of(lab: Lab, runs: Collection[str]) -> Iterator[str]:
    """The rounds that count of runs: those that lead to their heads, whatever was rolled back.

    Args:
        lab: Where the runs are.
        runs: Their names.

    Yields:
        What stands behind `WITH`; joined by `ON_LINE` it gives `line.name`, the name of the run. Each
        names as much as fits into a query; of a run that is named in several, older rounds come first.
    """
    part, characters = dict[Stretch, list[str]](), 0
    for name, stretches in lab.store.state.stretches(runs).items():
        for stretch in stretches:
            characters += len(name) + 3 + (0 if stretch in part else len(_values(stretch, ())))
            if part and characters > _CHARACTERS:
                yield _joined(part)
                part, characters = {}, len(_values(stretch, (name,)))
            part.setdefault(stretch, []).append(name)
    if part:
        yield _joined(part)


def _joined(part: Mapping[Stretch, Collection[str]]) -> str:
    return _LINE.format(values=", ".join(_values(*one) for one in part.items()))


def _values(stretch: Stretch, names: Collection[str]) -> str:
    # Names of runs and branches are checked when they are made: no sign of them ends a string.
    listed = ",".join(f"'{name}'" for name in names)
    branch, generation, after, last = stretch
    return f"([{listed}], '{branch}', {generation}, {after}, {'NULL' if last is None else last})"
