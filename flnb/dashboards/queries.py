"""What pages ask, as plain functions: a source in, a DataFrame out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from flnb.core.ids import RunId
from flnb.store import HIDDEN

if TYPE_CHECKING:
    from flnb.coordinator.run import Run
    from flnb.dashboards.sources import Source

MOST_ROWS, TABLE_S = 10_000_000, 60.0
OUTCOMES = ("accepted", "late", "lost", "refused", "failed")
BAND = ("metric", "round", "low", "mid", "high", "n")


def line(source: Source, run: RunId) -> str:
    """An SQL condition for the rounds that lead to the head of a run."""
    return source.run(run).source.line


def operations(source: Source, most: int = 200) -> pd.DataFrame:
    """The operations log, newest first."""
    query = f"SELECT * FROM operations ORDER BY position DESC LIMIT {most}"  # noqa: S608  # a number of ours
    return _asked(source, query)


def last_roll_back(source: Source, name: str, branch: str) -> pd.DataFrame:
    """The newest roll back of a branch in the log: `at actor branch reason details`, or no row."""
    run = quoted(name.partition("/")[0])
    query = (
        "SELECT \"at\", actor, branch, reason, details FROM operations WHERE verb = 'rollback' "  # noqa: S608  # quoted
        f"AND run = {run} AND branch = {quoted(branch)} ORDER BY position DESC LIMIT 1"
    )
    return _asked(source, query)


def quoted(text: str) -> str:
    """A text as SQL writes it.

    Examples:
        >>> quoted("l'eau")
        "'l''eau'"
    """
    return "'" + text.replace("'", "''") + "'"


def aliases(run: Run, *, clients: bool) -> list[dict[str, Any]]:
    """What names meant, newest first; who gave them and why may quote a client.

    Args:
        run: The run.
        clients: Whether whoever asks may be told of single clients.
    """
    hidden = {} if clients else dict.fromkeys(("actor", "reason"), HIDDEN)
    return [row | hidden for row in run.aliases][::-1]


def _without_rows(*columns: str) -> pd.DataFrame:
    return pd.DataFrame({name: [] for name in columns})


class NOTHING:
    """Frames of a run before anything is known of it."""

    rounds = _without_rows("round", "seconds_s", "closed_by", "snapshot", "closed_at", *OUTCOMES)
    metrics = _without_rows("round", "scope", "metric", "value")
    events = _without_rows("round", "position", "kind", "client", "detail")
    unused = _without_rows("round", "client", "outcome", "reason")
    band = _without_rows(*BAND)


def series(metrics: pd.DataFrame, name: str) -> pd.DataFrame:
    """One metric by round: `round value`. `train_loss` is the loss of training."""
    scope, metric = ("training", "loss") if name == "train_loss" else ("central", name)
    chosen = metrics[(metrics["scope"] == scope) & (metrics["metric"] == metric)]
    return chosen[["round", "value"]].reset_index(drop=True)


def names(metrics: pd.DataFrame) -> list[str]:
    """The metrics that were measured, those of one's own choice first."""
    pairs = metrics[["scope", "metric"]].drop_duplicates()
    found = [
        "train_loss" if scope == "training" else str(metric)
        for scope, metric in zip(pairs["scope"], pairs["metric"], strict=True)
        if scope == "central" or (scope == "training" and metric == "loss")
    ]
    return sorted(dict.fromkeys(found), key=lambda name: (name in {"loss", "train_loss"}, name))


def _asked(source: Source, query: str) -> pd.DataFrame:
    return source.ask(query, rows=MOST_ROWS, timeout_s=TABLE_S).df()
