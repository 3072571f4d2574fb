"""Columns of a closing: as one Arrow blob for each table on the way in, decoded late on the way out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.ipc  # makes pa.ipc

from flnb.store.records import Columns
from flnb.store.tables import TableSpec

# A round's columns are small: handing them to Arrow's threads takes longer than packing them, and
# five times as long as unpacking them.
_OPTIONS = pa.ipc.IpcWriteOptions(compression="lz4", use_threads=False)
_READ_OPTIONS = pa.ipc.IpcReadOptions(use_threads=False)


class StoredColumns(Mapping[str, np.ndarray]):
    """Columns read back: NumPy arrays, decoded when somebody looks."""

    def __init__(self, blob: bytes | None, spec: TableSpec) -> None:
        self._blob, self._spec = blob, spec
        self._table: pa.Table | None = None

    @property
    def table(self) -> pa.Table:
        """All columns as an Arrow table."""
        if self._table is None:
            self._table = (
                self._spec.empty
                if self._blob is None
                else pa.ipc.open_stream(self._blob, options=_READ_OPTIONS).read_all()
            )
        return self._table

    def __getitem__(self, name: str) -> np.ndarray:
        """One column; text is an array of objects, with None where there is nothing."""
        if name not in self.table.column_names:
            raise KeyError(name)
        values: np.ndarray = self.table[name].to_numpy()
        return values

    def __iter__(self) -> Iterator[str]:
        return iter(self.table.column_names)

    def __len__(self) -> int:
        return len(self.table.column_names)


def to_table(columns: Columns, spec: TableSpec, defaults: Columns | None = None) -> pa.Table:
    """Bring columns into the form that `spec` describes.

    Args:
        columns: Column name to values; a missing column becomes nulls.
        spec: The table they belong to.
        defaults: Column name to one value for all rows, for columns that are missing.

    Raises:
        ValueError: A column that the table does not have, or columns of different lengths.
    """
    if isinstance(columns, StoredColumns):
        return columns.table
    lengths = {name: len(values) for name, values in columns.items()}
    if unknown := lengths.keys() - {column.name for column in spec.body}:
        raise ValueError(f"table {spec.name} has no column {', '.join(sorted(unknown))}")
    if len(set(lengths.values())) > 1:
        raise ValueError(f"columns of {spec.name} differ in length: {lengths}")
    length = next(iter(lengths.values()), 0)
    defaults = defaults or {}
    arrays = [
        _array(columns[column.name], column.type)
        if column.name in columns
        else repeated(defaults.get(column.name), column.type, length)
        for column in spec.body
    ]
    return pa.Table.from_arrays(arrays, names=[column.name for column in spec.body])


def encode(table: pa.Table) -> bytes | None:
    """Write a table as one Arrow IPC stream; no rows need no bytes."""
    if not table.num_rows:
        return None
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema, options=_OPTIONS) as writer:
        writer.write_table(table)
    blob: bytes = sink.getvalue().to_pybytes()
    return blob


def repeated(value: Any, kind: pa.DataType, length: int) -> pa.Array:
    """An array of one value; None makes nulls."""
    return pa.nulls(length, kind) if value is None else pa.repeat(pa.scalar(value, kind), length)


def _array(values: Any, kind: pa.DataType) -> pa.Array | pa.ChunkedArray:
    if isinstance(values, np.ndarray):
        values = pa.array(values)
    if isinstance(values, (pa.Array, pa.ChunkedArray)):
        return values if values.type == kind else values.cast(kind)
    return pa.array(values, kind)
