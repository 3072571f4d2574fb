"""Closings, runs and clients as rows of the tables of `lab.sql`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from flnb.core import RunId
from flnb.store.columns import to_table
from flnb.store.records import ClientRecord, Closing, Operation, RunRecord
from flnb.store.tables import BODIES, CLIENTS, KEY, OPERATIONS, ROUNDS, RUNS, TABLES, TableSpec

_BATCH_ROWS = 50_000
_BATCH_CLOSINGS = 500
_OWN_TABLES = (
    "CREATE SCHEMA flnb",
    "CREATE TABLE flnb.stamp (stamp VARCHAR)",
    "CREATE TABLE flnb.done (run VARCHAR, branch VARCHAR, generation BIGINT, round BIGINT, "
    "position BIGINT)",
)
DDL = (*_OWN_TABLES, *(statement for spec in TABLES for statement in spec.ddl()))
"""Makes the tables, and two of our own: what they were made from, and which closings they hold."""


def run_table(runs: Iterable[RunRecord]) -> pa.Table:
    """Rows of the table `runs`."""
    return table(RUNS, [_run_row(run) for run in runs])


def client_table(clients: Iterable[ClientRecord]) -> pa.Table:
    """Rows of the table `clients`; keys stay where they are."""
    return table(CLIENTS, [_client_row(client) for client in clients])


def operation_table(
    operations: Iterable[tuple[int, Operation]], runs: Iterable[RunRecord]
) -> pa.Table:
    """Rows of the table `operations`, each with its place in the log."""
    known = {run.id: run for run in runs}
    rows = [_operation_row(*one, known.get(one[1].run or RunId(""))) for one in operations]
    return table(OPERATIONS, rows)


def round_table(closings: Iterable[Closing], names: Mapping[str, str]) -> pa.Table:
    """Rows of the table `rounds`; `names` is identity to name of the runs."""
    rows = [
        {
            column.name: names[closing.run]
            if column.name == "run"
            else getattr(closing, column.name)
            for column in ROUNDS.columns
        }
        for closing in closings
    ]
    return table(ROUNDS, rows)


def body_table(spec: TableSpec, closings: Sequence[Closing], names: Mapping[str, str]) -> pa.Table:
    """Rows of a table that come inside closings, each under the key of its round."""
    bodies = [
        to_table(getattr(closing, spec.name), spec, {"attempt": closing.attempt})
        for closing in closings
    ]
    body = pa.concat_tables([spec.empty, *bodies])
    # One key a closing, as often as it has rows: to write each of them for each closing takes ten
    # times as long as all else.
    rows = np.repeat(np.arange(len(bodies)), [each.num_rows for each in bodies])
    keys = [(names[closing.run], *closing.key[1:]) for closing in closings]
    columns = [
        pa.array(values, column.type).take(pa.array(rows))
        for values, column in zip(zip(*keys, strict=True), KEY, strict=True)
    ]
    return pa.Table.from_arrays(
        [*columns, *body.columns], names=[column.name for column in spec.columns]
    )


def done_table(closings: Iterable[Closing]) -> pa.Table:
    """Which closings are in the tables, by the identity of their runs."""
    rows = [(*closing.key, closing.position) for closing in closings]
    names = [column.name for column in KEY] + ["position"]
    return pa.table(dict(zip(names, map(list, zip(*rows, strict=True)), strict=True)))


def batches(closings: Iterable[Closing]) -> Iterator[list[Closing]]:
    """Cut closings into parts that may be in memory at once."""
    batch: list[Closing] = []
    rows = 0
    for closing in closings:
        batch.append(closing)
        rows += closing.invited
        if rows >= _BATCH_ROWS or len(batch) >= _BATCH_CLOSINGS:
            yield batch
            batch, rows = [], 0
    if batch:
        yield batch


def insert(
    cursor: duckdb.DuckDBPyConnection, new: Sequence[Closing], names: Mapping[str, str]
) -> None:
    """Write the rows of new closings."""
    append(cursor, "rounds", round_table(new, names))
    for spec in BODIES:
        append(cursor, spec.name, body_table(spec, new, names))
    append(cursor, "flnb.done", done_table(new))


def replace(cursor: duckdb.DuckDBPyConnection, name: str, rows: pa.Table) -> None:
    """Make a table hold these rows and no others."""
    cursor.execute(f"DELETE FROM {name}")  # noqa: S608  # our own table names
    append(cursor, name, rows)


def append(cursor: duckdb.DuckDBPyConnection, name: str, rows: pa.Table) -> None:
    """Write rows into a table."""
    if rows.num_rows:
        cursor.register("flnb_rows", rows)
        cursor.execute(f"INSERT INTO {name} BY NAME SELECT * FROM flnb_rows")  # noqa: S608  # our own table names
        cursor.unregister("flnb_rows")


def delete(cursor: duckdb.DuckDBPyConnection, key: tuple[str, str, int, int], run: str) -> None:
    """Delete all rows of a closing."""
    for table, name in [*((spec.name, run) for spec in (ROUNDS, *BODIES)), ("flnb.done", key[0])]:
        cursor.execute(
            f"DELETE FROM {table} "  # noqa: S608  # our own table names
            "WHERE run = $1 AND branch = $2 AND generation = $3 AND round = $4",
            [name, *key[1:]],
        )


def name_snapshot(cursor: duckdb.DuckDBPyConnection, closing: Closing, run: str) -> None:
    """Fill in the commit of a round that had none."""
    _, *rest = closing.key
    cursor.execute(
        "UPDATE rounds SET snapshot = $1, parameters_sha256 = $2 "
        "WHERE run = $3 AND branch = $4 AND generation = $5 AND round = $6",
        [closing.snapshot, closing.parameters_sha256, run, *rest],
    )
    cursor.execute(
        "UPDATE flnb.done SET position = $1 "
        "WHERE run = $2 AND branch = $3 AND generation = $4 AND round = $5",
        [closing.position, *closing.key],
    )


def _run_row(run: RunRecord) -> dict[str, Any]:
    return {
        "run": run.trunk_name,
        "id": run.id,
        "status": str(run.status),
        "waits_for": run.waits_for,
        "branch": run.branch,
        "generation": run.generation,
        "task": run.task_name,
        "plan": run.plan_yaml,
        "plan_hash": run.plan_hash,
        "fingerprint": _text(run.fingerprint),
        "environment": _text(run.environment),
        "error": run.error or "",
        "study": run.study,
        "study_key": run.study_key,
        "created_at": run.created_at,
        "updated_at": run.updated_at,
    }


def _client_row(client: ClientRecord) -> dict[str, Any]:
    return {
        "client": client.name,
        "role": client.role,
        "joined_at": client.joined_at,
        "rotated_at": client.rotated_at,
        "revoked_at": client.revoked_at,
        "reason": client.reason,
        "last_seen_at": client.last_seen_at,
        "n_examples": client.n_examples,
        "task": _text(client.about["task"]) if "task" in client.about else None,
        "version": _text(client.about["version"]) if "version" in client.about else None,
    }


def _operation_row(position: int, done: Operation, run: RunRecord | None) -> dict[str, Any]:
    return {
        "position": position,
        "at": done.at,
        "actor": done.actor,
        "verb": done.verb,
        "run": run.trunk_name if run else None,
        "branch": run.branch if run else None,
        "reason": done.reason,
        "details": json.dumps(dict(done.details)),
    }


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def table(spec: TableSpec, rows: list[dict[str, Any]]) -> pa.Table:
    """Rows as the columns of a table; one that a row lacks is NULL there."""
    schema = pa.schema([(column.name, column.type) for column in spec.columns])
    return pa.Table.from_pylist(rows, schema=schema)
