"""Answers of the coordinator that are JSON or Arrow, as plain values."""

from __future__ import annotations

import json
import math
from typing import Any

import pyarrow as pa
import pyarrow.csv
from google.protobuf.message import Message
from starlette.responses import Response

from flnb.service.gateway import Gateway

JSON = "application/json"
_PIECE = 1000


def _is_opaque(kind: pa.DataType) -> bool:
    """Whether it is a type that Arrow has not, such as BIGNUM, in bytes of the database's own."""
    return isinstance(kind, pa.BaseExtensionType)


_WORDLESS = (pa.types.is_nested, pa.types.is_interval, pa.types.is_binary, _is_opaque)


async def passed_on(way: Gateway, token: str, method: str, request: Message) -> Response:
    """Ask for something that is told as JSON, and answer just that.

    To read it, check it and write it again would cost more than all else that is done for a request;
    tests hold what the coordinator writes against the shapes that the OpenAPI shows.

    Raises:
        FLBaseError: What the coordinator raised.
    """
    return Response(await way.whole(token, method, request), media_type=JSON)


async def told(way: Gateway, token: str, method: str, request: Message) -> Any:
    """Ask for something that is told as JSON.

    Raises:
        FLBaseError: What the coordinator raised.
    """
    return plain(await way.whole(token, method, request))


def plain(text: str | bytes) -> Any:
    """JSON of the coordinator, which to Python's own ends may tell NaN: here that is null."""
    return json.loads(text, parse_constant=lambda _: None)


def finite(text: str) -> str:
    """The same as text; as a rule there is nothing to do."""
    suspicious = "NaN" in text or "Infinity" in text
    return json.dumps(plain(text)) if suspicious else text


def rows_of(data: bytes) -> list[dict[str, Any]]:
    """The rows of an answer that is Arrow."""
    rows: list[dict[str, Any]] = _table(data).to_pylist()
    return rows


def as_json(data: bytes) -> bytes:
    """An answer that is Arrow, as JSON can hold it.

    Written a piece at a time: `json.dumps` lets no other thread run until it is done, and the loop is one.
    """
    table = _table(data)
    pieces = [
        json.dumps(_rows(piece), ensure_ascii=False)[1:-1]
        for piece in table.to_batches(max_chunksize=_PIECE)
        if len(piece)
    ]
    return (
        f'{{"columns": {json.dumps(table.column_names)}, "rows": [{", ".join(pieces)}]}}'.encode()
    )


def as_csv(data: bytes) -> bytes:
    """The same as comma-separated values, with a line of names."""
    sink = pa.BufferOutputStream()
    pa.csv.write_csv(_flat(_table(data)), sink)
    text: bytes = sink.getvalue().to_pybytes()
    return text


def _table(data: bytes) -> pa.Table:
    return pa.ipc.open_stream(data).read_all()


def _rows(piece: pa.RecordBatch) -> list[list[Any]]:
    columns = [_plain(_cells(column)) for column in piece.columns]
    return [list(row) for row in zip(*columns, strict=True)]


def _cells(column: pa.Array) -> list[Any]:
    """Values as Python has them; None for dates that it cannot have, such as infinity."""
    try:
        cells: list[Any] = column.to_pylist()
    except (OverflowError, ValueError):
        return [_cell(one) for one in column]
    return cells


def _cell(scalar: pa.Scalar) -> Any:
    try:
        return scalar.as_py()
    except (OverflowError, ValueError):
        return None


def _flat(table: pa.Table) -> pa.Table:
    """What CSV has no word for is text in a cell; lists and structures as JSON."""
    for index, field in enumerate(table.schema):
        if any(is_such(field.type) for is_such in _WORDLESS):
            told = (_one(cell) for chunk in table[index].chunks for cell in _cells(chunk))
            cells = [
                one if one is None or isinstance(one, str) else json.dumps(one) for one in told
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
