"""A study as one table: a row a cell, with what its run was measured by."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from flnb.coordinator.measures import ON_LINE, Measured, column_of, lines_of, measured
from flnb.experiments.report.measured import lower_is_better
from flnb.store import StudyCell

if TYPE_CHECKING:
    import pandas as pd

    from flnb.coordinator import Lab
    from flnb.coordinator.operations import Answers

FACTS = (
    "position",
    "outcome",
    "why",
    "run",
    "rounds",
    "bytes_up",
    "seconds_s",
    "attempts",
    "origin",
    "asked",
    "began_at",
    "ended_at",
    "notebook",
    "key",
)
"""Columns of every study, beside its parameters and metrics; a parameter of such a name, or of a metric's,
gets a `_`."""
_ROWS, _PATIENCE_S = 10_000_000, 60.0


def frame(lab: Lab, cells: Sequence[StudyCell], ask: Answers | None = None) -> pd.DataFrame:
    """One row a cell: its parameters, its seed, what became of it, what its run was measured by.

    Args:
        lab: Where its runs are.
        cells: Of one study.
        ask: Answers for whoever looks; by default the lab.

    Returns:
        A column for each parameter, the seed, `FACTS`, and for each metric its value in the last
        round (`accuracy`) and the best one of all rounds (`best_accuracy`). What was measured at
        clients is called `federated_…`, what while training `training_…`.
    """
    runs = sorted({cell.run for cell in cells if cell.run})
    return table(cells, measures(lab, runs, ask))


def table(cells: Sequence[StudyCell], by_run: Mapping[str, Mapping[str, float]]) -> pd.DataFrame:
    """The same of what was measured already.

    Args:
        cells: Of one study.
        by_run: As `measures` gives it.
    """
    import pandas as pd  # takes half a second

    metrics = list(dict.fromkeys(name for found in by_run.values() for name in found))
    rows = [_row(cell, {*FACTS, "seed", *metrics}) for cell in cells]
    columns = list(dict.fromkeys(name for row in rows for name in row))
    metrics = [name for name in metrics if name not in columns]
    rows = [{**row, **by_run.get(row["run"], {})} for row in rows]
    return pd.DataFrame(rows, columns=_ordered([*columns, *metrics]))


def measures(
    lab: Lab, runs: Sequence[str], ask: Answers | None = None
) -> dict[str, dict[str, float]]:
    """What each run was measured by on the line to its head: name of the column to its value.

    Args:
        lab: Where the runs are.
        runs: Their names.
        ask: Answers for whoever looks; by default the lab.
    """
    return {run: columns_of(found) for run, found in measured(lab, runs, ask).items()}


def columns_of(found: Measured) -> dict[str, float]:
    """What a run was measured by, as columns: the best value of a metric by what its name says."""
    row: dict[str, Any] = {"rounds": found.rounds, "bytes_up": found.bytes_up}
    for name, one in found.metrics.items():
        row |= {name: one.last, f"best_{name}": one.least if lower_is_better(name) else one.most}
    return row


def courses(lab: Lab, runs: Sequence[str], ask: Answers | None = None) -> pd.DataFrame:
    """What runs were measured by in each round on the line to their heads.

    Args:
        lab: Where the runs are.
        runs: Their names.
        ask: Answers for whoever looks; by default the lab.

    Returns:
        `run round bytes_up metric value`, rounds rising: `bytes_up` is the sum so far, metrics are called
        as the columns of `frame`.
    """
    import pandas as pd  # takes half a second

    columns = ["run", "round", "bytes_up", "metric", "value"]
    ask = ask or lab.sql
    parts, sent = list[pd.DataFrame](), dict[str, float]()
    for line in lines_of(lab, runs):
        part = ask(_COURSES.format(line=line), rows=_ROWS, timeout_s=_PATIENCE_S).df()
        part["bytes_up"] += part["run"].map(sent).fillna(0.0)  # of rounds in a query before
        most = part.groupby("run")["bytes_up"].max()
        sent |= {str(run): float(most[run]) for run in most.index}
        parts.append(part)
    if not parts:
        return pd.DataFrame(columns=columns)
    found = pd.concat(parts, ignore_index=True).dropna(subset="metric").reset_index(drop=True)
    pairs = zip(found["scope"], found["metric"], strict=True)
    return found.assign(metric=[column_of(scope, metric) for scope, metric in pairs])[columns]


_COURSES = f"""
WITH {{line}} SELECT r.run, r.round, r.bytes_up, m.scope, m.metric, m.value
FROM (SELECT line.name AS run, round, scope, metric, value FROM metrics AS m JOIN {ON_LINE}) AS m RIGHT JOIN (
  SELECT line.name AS run, round, (sum(bytes_up) OVER (PARTITION BY line.name ORDER BY round))::DOUBLE AS bytes_up
  FROM rounds AS m JOIN {ON_LINE}
) AS r USING (run, round) ORDER BY r.run, r.round, m.scope, m.metric
"""  # noqa: S608  # our own words


def _row(cell: StudyCell, taken: Collection[str]) -> dict[str, Any]:
    given = {
        f"{name}_" if name in taken else name: value for name, value in cell.parameters.items()
    }
    given = {name: value for name, value in given.items() if name != "seed_"}
    facts = {name: getattr(cell, name, None) for name in FACTS} | {"outcome": str(cell.outcome)}
    return {**given, "seed": cell.seed, **facts}


def _ordered(columns: Sequence[str]) -> list[str]:
    """Parameters, then what became of the cell, then its measures; places of files come last."""
    last = [name for name in ("began_at", "ended_at", "notebook", "key") if name in columns]
    return [name for name in columns if name not in last] + last
