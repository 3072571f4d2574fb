"""What is asked about single clients, as plain functions: a source in, a DataFrame out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from flnb.dashboards.queries import quoted

if TYPE_CHECKING:
    from flnb.dashboards.sources import Source

_MOST_ROWS, _LONGEST_S = 1_000_000, 60.0
MEASURED = {
    "loss": "Training loss",
    "norm": "Update norm",
    "arrived_s": "Seconds to answer",
    "n_examples": "Examples",
}
"""Columns of updates that have one value a client and round, and their words."""


def summary(source: Source, line: str) -> pd.DataFrame:
    """One row a client that was given work: what became of it, and its newest update.

    Columns `client invited accepted refused missed last_round n_examples loss norm p95_s bytes_up`;
    those of updates are missing for whom never sent one.
    """
    query = f"""
        WITH given AS (
          SELECT client, count(*) AS invited,
            count(*) FILTER (outcome = 'accepted') AS accepted,
            count(*) FILTER (outcome IN ('refused', 'failed')) AS refused,
            count(*) FILTER (outcome IN ('late', 'lost')) AS missed, max(round) AS last_round
          FROM assignments WHERE {line} GROUP BY client),
        sent AS (
          SELECT client, arg_max(n_examples, round) AS n_examples, arg_max(loss, round) AS loss,
            arg_max(norm, round) AS norm, quantile_cont(arrived_s, .95) AS p95_s,
            CAST(sum(bytes_up) AS BIGINT) AS bytes_up
          FROM updates WHERE {line} GROUP BY client)
        SELECT * FROM given LEFT JOIN sent USING (client) ORDER BY client"""  # noqa: S608  # our own words
    return _asked(source, query)


def by_round(source: Source, line: str, measured: str, rounds: int) -> pd.DataFrame:
    """One value a client and round of the last rounds: `client round value`.

    Args:
        source: Who is asked.
        line: Which rounds.
        measured: A key of `MEASURED`.
        rounds: The last so many.
    """
    assert measured in MEASURED, "names are chosen from the list"
    query = f"""
        SELECT client, round, {measured} AS value FROM updates
        WHERE {line} AND round > (SELECT max(round) FROM rounds WHERE {line}) - {rounds}
        ORDER BY client, round"""  # noqa: S608  # our own words
    return _asked(source, query)


def story(source: Source, line: str, client: str) -> pd.DataFrame:
    """Every round in which a client was given work, oldest first."""
    name = quoted(client)
    query = f"""
        WITH mine AS (SELECT round, outcome, reason FROM assignments WHERE {line} AND client = {name}),
        sent AS (SELECT round, n_examples, loss, norm, arrived_s, bytes_up FROM updates
                 WHERE {line} AND client = {name})
        SELECT * FROM mine LEFT JOIN sent USING (round) ORDER BY round"""  # noqa: S608  # quoted
    return _asked(source, query)


def cohort_norms(source: Source, line: str) -> pd.DataFrame:
    """5 %, 50 % and 95 % of the norms of all clients' updates: `round low mid high`."""
    query = f"""
        SELECT round, quantile_cont(norm, .05) AS low, quantile_cont(norm, .5) AS mid,
          quantile_cont(norm, .95) AS high
        FROM updates WHERE {line} AND isfinite(norm) GROUP BY round ORDER BY round"""  # noqa: S608  # our own words
    return _asked(source, query)


def _asked(source: Source, query: str) -> pd.DataFrame:
    return source.ask(query, rows=_MOST_ROWS, timeout_s=_LONGEST_S).df()
