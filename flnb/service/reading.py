"""Answers of the coordinator that are JSON or Arrow, as plain values."""

from __future__ import annotations

import json
import math
from typing import Any

import pyarrow as pa
import pyarrow.csv
from google.protobuf.message import Message

from flnb.service.gateway import Gateway


async def told(way: Gateway, token: str, method: str, request: Message) -> Any:
    """Ask for something that is told as JSON.

    Raises:
        FLBaseError: What the coordinator raised.
    """
    return json.loads(await way.whole(token, method, request))


def rows_of(data: bytes) -> list[dict[str, Any]]:
    """The rows of an answer that is Arrow."""
    rows: list[dict[str, Any]] = _table(data).to_pylist()
    return rows


def as_columns(data: bytes) -> dict[str, Any]:
    """An answer that is Arrow, as JSON can hold it."""
    table = _table(data)
    columns = [_plain(column.to_pylist()) for column in table.columns]
    return {
        "columns": table.column_names,
        "rows": [list(row) for row in zip(*columns, strict=True)],
    }


def as_csv(data: bytes) -> bytes:
    """The same as comma-separated values, with a line of names."""
    sink = pa.BufferOutputStream()
    pa.csv.write_csv(_flat(_table(data)), sink)
    text: bytes = sink.getvalue().to_pybytes()
    return text


def _table(data: bytes) -> pa.Table:
    return pa.ipc.open_stream(data).read_all()


def _flat(table: pa.Table) -> pa.Table:
    """Lists and structures are JSON in a cell: CSV has no word for them."""
    for index, field in enumerate(table.schema):
        if pa.types.is_nested(field.type):
            cells = [
                None if one is None else json.dumps(_one(one)) for one in table[index].to_pylist()
            ]
            table = table.set_column(index, field.name, pa.array(cells, pa.string()))
    return table


def _plain(values: list[Any]) -> list[Any]:
    return [_one(value) for value in values]


def _one(value: Any) -> Any:
    """A value that JSON can hold: no infinity, and whatever is not plain as text."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, str | int | bool):
        return value
    if isinstance(value, list | tuple):
        return _plain(list(value))
    if isinstance(value, dict):
        return {str(name): _one(one) for name, one in value.items()}
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
