"""The course of a run: what was measured in the rounds that lead to its head, read all at once.

Whoever shows a run needs little of each round and all of the last few. Ten thousand rounds are read
in columns within a tenth of a second; as records of their own they take ten times as long.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pyarrow as pa
from sqlalchemy import Connection, select

from flnb.store import closing_rows, schema
from flnb.store.columns import StoredColumns
from flnb.store.lineage import Line
from flnb.store.records import Closing
from flnb.store.tables import METRICS

_columns = schema.closings.c
_NEEDED = (_columns.round, _columns.position, _columns.bytes_up, _columns.metrics)


@dataclass(frozen=True, slots=True)
class Course:
    """The rounds that lead to the head of a branch."""

    rounds: tuple[int, ...]
    """Rising."""
    position: int
    """The highest place of one of them in the lab's sequence of closings, 0 if there is none."""
    bytes_up: int
    newest: tuple[Closing, ...]
    """Summaries of the last few, the newest last."""
    metrics: pa.Table
    """Scope, metric and value of all of them, in order."""
    counts: tuple[int, ...]
    """How many rows of it each round has."""

    def measured(self) -> Iterator[tuple[int, list[tuple[str, str, float]]]]:
        """Each round with its measurements: scope, metric, value."""
        columns = (self.metrics[name].to_pylist() for name in ("scope", "metric", "value"))
        rows = list(zip(*columns, strict=True))
        places = np.concatenate([[0], np.cumsum(self.counts, dtype=int)]).tolist()
        for number, (first, end) in zip(self.rounds, pairwise(places), strict=True):
            yield number, rows[first:end]


def read(connection: Connection, line: Line, newest: int) -> Course:
    """Read the course of a line; its last rounds as summaries."""
    rows = [
        tuple(row)
        for segment in line.segments
        for row in connection.execute(
            select(*_NEEDED).where(closing_rows.of_segment(segment)).order_by(_columns.round)
        )
    ]
    tables = [StoredColumns(row[3], METRICS).table for row in rows]
    first = rows[-newest:][0][0] if rows else 1
    return Course(
        rounds=tuple(row[0] for row in rows),
        position=max((row[1] for row in rows), default=0),
        bytes_up=sum(row[2] for row in rows),
        newest=tuple(closing_rows.of_line(connection, line, from_round=first)),
        metrics=pa.concat_tables([METRICS.empty, *tables]),
        counts=tuple(table.num_rows for table in tables),
    )
