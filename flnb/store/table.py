"""Answers as tables: an Arrow table that shows some of its rows and turns into a DataFrame."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any, Self

import pyarrow as pa

from flnb.core import cards
from flnb.core.errors import QueryRefusedError

if TYPE_CHECKING:
    import pandas as pd

_SHOWN_ROWS = 8
_SHOWN_CHARACTERS = 40
_BEYOND_PYTHON = OverflowError, ValueError, NotImplementedError
"""How the year 200000, infinity and 24:00 end, all of which DuckDB has."""


class Table:
    """Rows and columns; iterating gives a dictionary a row.

    Examples:
        >>> Table.of({"round": [1, 2], "accuracy": [0.5, 0.75]})
        round  accuracy
            1       0.5
            2      0.75
        2 rows
    """

    def __init__(self, arrow: pa.Table) -> None:
        self._arrow, self._from_end = arrow, False

    @classmethod
    def of(cls, columns: Mapping[str, Any]) -> Self:
        """Make a table of columns: name to a sequence, all of one length."""
        return cls(pa.table(dict(columns)))

    @classmethod
    def from_ipc(cls, data: bytes) -> Self:
        """Read a table that `to_ipc` wrote."""
        with pa.ipc.open_stream(pa.py_buffer(data)) as reader:
            return cls(reader.read_all())

    def to_ipc(self) -> bytes:
        """The table as a stream of Arrow's own format."""
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, self._arrow.schema) as writer:
            writer.write_table(self._arrow)
        data: bytes = sink.getvalue().to_pybytes()
        return data

    def ending(self) -> Self:
        """The same table, which shows its last rows in place of its first."""
        table = type(self)(self._arrow)
        table._from_end = True
        return table

    @property
    def columns(self) -> list[str]:
        """Names of the columns."""
        return list(self._arrow.column_names)

    def arrow(self) -> pa.Table:
        """The Arrow table itself."""
        return self._arrow

    def df(self) -> pd.DataFrame:
        """As a pandas DataFrame; times keep their zone.

        Raises:
            QueryRefusedError: A column has a date or a time that Python has no value for.
        """
        with _in_words():
            frame: pd.DataFrame = self._arrow.to_pandas()
        return frame

    def rows(self) -> list[tuple[Any, ...]]:
        """The rows without the columns' names, which may be there twice.

        Raises:
            QueryRefusedError: As `df`.
        """
        with _in_words():
            return list(zip(*(column.to_pylist() for column in self._arrow.columns), strict=True))

    def __len__(self) -> int:
        return int(self._arrow.num_rows)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for batch in self._arrow.to_batches():
            with _in_words():
                rows = batch.to_pylist()
            yield from rows

    def __repr__(self) -> str:
        """Its first rows, or its last ones, and a count."""
        lines = [self.columns, *self._shown_rows()]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        shown = ["  ".join(map(str.rjust, line, widths)) for line in lines]
        return "\n".join([*shown, self._count()])

    def _repr_mimebundle_(self, **_: object) -> Mapping[str, str]:
        table = cards.table(self.columns, self._shown_rows())
        return cards.bundle(repr(self), cards.framed(table, cards.quiet(self._count())))

    def _shown_rows(self) -> list[list[str]]:
        first = max(0, len(self) - _SHOWN_ROWS) if self._from_end else 0
        rows = self._arrow.slice(first, _SHOWN_ROWS)
        columns = [[_shown(_value(cell)) for cell in column] for column in rows.columns]
        return [list(row) for row in zip(*columns, strict=True)]

    def _count(self) -> str:
        count = f"{len(self):,} row{'' if len(self) == 1 else 's'}"
        which = "last" if self._from_end else "first"
        return f"{count}, the {which} {_SHOWN_ROWS} shown" if len(self) > _SHOWN_ROWS else count


@contextmanager
def _in_words() -> Iterator[None]:
    try:
        yield
    except _BEYOND_PYTHON as error:
        raise QueryRefusedError(
            f"Python has no value for what a column holds: {error}",
            hint="CAST(column AS VARCHAR) gives it as text",
        ) from error


def _value(cell: pa.Scalar) -> Any:
    try:
        return cell.as_py()
    except _BEYOND_PYTHON:
        return "(beyond Python's dates)"


def _shown(value: Any) -> str:
    match value:
        case None:
            return "–"
        case float():
            return f"{value:.5g}"
        case datetime():
            return f"{value:%Y-%m-%d %H:%M:%S}"
        case _:
            text = " ".join(str(value).split())
            return text if len(text) <= _SHOWN_CHARACTERS else f"{text[: _SHOWN_CHARACTERS - 1]}…"
