"""What may be asked about without being told of single clients: a copy that holds nothing else.

To look through a query for the names of tables would have to be right about everything that
DuckDB can do; a database in which there is nothing to hide needs no such care.
"""

from __future__ import annotations

from contextlib import closing as closing_after

import pyarrow as pa

from flnb.core.errors import QueryRefusedError
from flnb.store.metrics import Metrics
from flnb.store.select_only import locked_down, select
from flnb.store.table import Table
from flnb.store.viewed import HIDDEN, plan_viewed, row_without_places

_COPIES = {
    "runs": f"SELECT * REPLACE (if(error = '', '', '{HIDDEN}') AS error) FROM runs",  # noqa: S608  # our own words
    # Where a recipe and notebooks lie on a disk is no aggregate, and notebooks show what they drew.
    "studies": "SELECT * EXCLUDE (asked_for) REPLACE (parse_filename(notebook) AS notebook) FROM studies",
    "study_cells": f"SELECT * EXCLUDE (notebook) REPLACE (if(why = '', '', '{HIDDEN}') AS why) FROM study_cells",  # noqa: S608  # our own words
    "rounds": "SELECT * FROM rounds",
    "metrics": "SELECT * FROM metrics",
    "events": "SELECT * EXCLUDE (client) FROM events WHERE client = ''",
}
FOR_VIEWERS = frozenset(_COPIES)
"""The tables that a viewer may ask."""
_MOST_ROWS, _COPY_S = 10_000_000, 60.0


def aggregates(metrics: Metrics, sql: str, *, rows: int = 10_000, timeout_s: float = 5.0) -> Table:
    """Answer one SELECT over the tables `FOR_VIEWERS`; of events those of whole rounds.

    Args:
        metrics: All tables. What is asked about is copied, which costs a pass over it.
        sql: Exactly one SELECT statement.
        rows: Refuse an answer with more rows.
        timeout_s: Refuse to work on it any longer.

    Raises:
        QueryRefusedError: Not one read-only SELECT, another table, or over a limit.
    """
    copies: dict[str, pa.Table] = {
        name: metrics.query(query, rows=_MOST_ROWS, timeout_s=_COPY_S).arrow()
        for name, query in _COPIES.items()
    }
    copies["study_cells"] = _without_places(copies["study_cells"])
    copies["runs"] = _without_names(copies["runs"])
    with closing_after(locked_down(":memory:")) as connection:
        with closing_after(connection.cursor()) as cursor:
            for name, copy in copies.items():
                cursor.register("flnb_rows", copy)
                cursor.execute(f"CREATE TABLE {name} AS SELECT * FROM flnb_rows")  # noqa: S608  # our own names
                cursor.unregister("flnb_rows")
        with closing_after(connection.cursor()) as cursor:
            try:
                return Table(select(cursor, sql, rows=rows, timeout_s=timeout_s))
            except QueryRefusedError as error:
                if not error.hint or error.message.startswith("no table"):
                    error.hint = f"a viewer asks {', '.join(_COPIES)}; operators see more"
                raise


def _without_names(runs: pa.Table) -> pa.Table:
    """Runs whose plans do not say which clients they leave out, and have no digest to guess them by."""
    plans, digests = runs["plan"].to_pylist(), runs["plan_hash"].to_pylist()
    shown = [plan_viewed(plan) for plan in plans]
    kept = [
        digest if plan == told else ""
        for digest, plan, told in zip(digests, plans, shown, strict=True)
    ]
    for name, column in {"plan": shown, "plan_hash": kept}.items():
        place = runs.schema.get_field_index(name)
        runs = runs.set_column(place, name, pa.array(column, pa.string()))
    return runs


def _without_places(cells: pa.Table) -> pa.Table:
    """Cells without the folders of files that they were given."""
    told = [cells[name].to_pylist() for name in ("parameters", "label")]
    rows = [row_without_places(*row) for row in zip(*told, strict=True)]
    for place, name in enumerate(("parameters", "label")):
        column = pa.array([row[place] for row in rows], pa.string())
        cells = cells.set_column(cells.schema.get_field_index(name), name, column)
    return cells
