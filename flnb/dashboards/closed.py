"""What was closed of a run, as one question: each costs a coordinator as much as a small round."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa

from flnb.dashboards.queries import MOST_ROWS, NOTHING, TABLE_S

if TYPE_CHECKING:
    from flnb.dashboards.sources import Source

EVENTS = 200
"""The newest ones are kept."""
_UNUSED = 200

# The rounds are named once: the line of a branch of many roll backs is long, and a question may not be.
_HERE = (
    "WITH line AS (SELECT run, branch, generation, round FROM rounds WHERE {line}), "
    "here AS (SELECT * FROM line WHERE round > {after}), "
    "last AS (SELECT coalesce(max(round), 0) AS round FROM line) "
    "SELECT (SELECT round FROM last) AS last, "
)
_FOR_ALL = {
    "rounds": ("SELECT * FROM rounds NATURAL SEMI JOIN here", "round"),
    "metrics": ("SELECT * FROM metrics NATURAL SEMI JOIN here", "round, scope, metric"),
    "events": (
        "SELECT * FROM events NATURAL SEMI JOIN here "  # noqa: S608  # our own words
        f"ORDER BY round DESC, position DESC LIMIT {EVENTS}",
        "round, position",
    ),
}
_OF_CLIENTS = {
    "band": (
        "SELECT 'train_loss' AS metric, round, quantile_cont(loss, .05) AS low, "
        "quantile_cont(loss, .5) AS mid, quantile_cont(loss, .95) AS high, count(*) AS n "
        "FROM updates NATURAL SEMI JOIN here WHERE accepted AND isfinite(loss) GROUP BY round",
        "round",
    ),
    "unused": (
        "SELECT round, client, outcome, reason FROM assignments "  # noqa: S608  # our own words
        "NATURAL SEMI JOIN here WHERE outcome <> 'accepted' AND round = (SELECT round FROM last) "
        f"ORDER BY outcome, client LIMIT {_UNUSED}",
        "outcome, client",
    ),
}


@dataclass(frozen=True, slots=True, eq=False)
class Closed:
    """What was closed of a run after one round, until another."""

    last: int
    """The last closed round; 0 before the first."""
    rounds: pd.DataFrame
    """As `run.rounds.df()`."""
    metrics: pd.DataFrame
    """As `run.metrics.df()`."""
    events: pd.DataFrame
    """The newest ones, oldest first."""
    band: pd.DataFrame = field(default_factory=lambda: NOTHING.band)
    """5 %, 50 % and 95 % of the clients' training loss by round: `metric round low mid high n`."""
    unused: pd.DataFrame = field(default_factory=lambda: NOTHING.unused)
    """Who could not be used in the last round, and why."""


def closed(source: Source, line: str, after: int = 0, *, clients: bool = True) -> Closed:
    """Ask what was closed of a run.

    Args:
        source: Whom to ask.
        line: SQL condition for the rounds that lead to its head.
        after: The last round that is known already.
        clients: Whether single clients may be asked about.

    Returns:
        All of it of one moment.

    Raises:
        FLBaseError: Nobody can tell now.
    """
    parts = _FOR_ALL | (_OF_CLIENTS if clients else {})
    lists = (
        f"(SELECT list(one ORDER BY {order}) FROM ({query}) AS one) AS {name}"  # noqa: S608  # our own words
        for name, (query, order) in parts.items()
    )
    query = _HERE.format(line=line, after=after) + ", ".join(lists)
    answer = source.ask(query, rows=MOST_ROWS, timeout_s=TABLE_S).arrow()
    frames = {name: _frame(answer[name]) for name in parts}
    return Closed(int(answer["last"][0].as_py()), **frames)


def _frame(column: Any) -> pd.DataFrame:
    """The rows that one cell holds as a list."""
    rows: pd.DataFrame = pa.Table.from_struct_array(column.combine_chunks().flatten()).to_pandas()
    return rows
