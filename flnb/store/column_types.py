"""Types of columns that hold the same in SQLite and in PostgreSQL."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from sqlalchemy import JSON, BigInteger, Integer, Text, TypeDecorator
from sqlalchemy.engine import Dialect

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Moment(TypeDecorator[datetime]):
    """A time with its zone, as microseconds since 1970: SQLite would drop the zone."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        """To microseconds, without going through a float."""
        return None if value is None else (value - _EPOCH) // _MICROSECOND

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """To a time in UTC."""
        return None if value is None else _EPOCH + value * _MICROSECOND


class Flag(TypeDecorator[bool]):
    """Yes or no as 1 or 0; nothing, in a row of before there was the column, is no."""

    impl = Integer
    cache_ok = True

    def process_bind_param(self, value: bool | None, dialect: Dialect) -> int:
        """To a number: PostgreSQL takes no bool for one."""
        return int(bool(value))

    def process_result_value(self, value: Any, dialect: Dialect) -> bool:
        """To a bool."""
        return bool(value)


class _JsonText(TypeDecorator[Any]):
    """JSON as text: PostgreSQL's own type takes no NaN and no infinity, which losses can be."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        """To text."""
        return None if value is None else to_json(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        """To what it says."""
        return None if value is None else json.loads(value)


Words = Text().with_variant(Text(collation="C"), "postgresql")
"""Text that both sort by its bytes, whatever language a database was made for."""
Count = Integer().with_variant(BigInteger(), "postgresql")
"""SQLite numbers rows by themselves only in INTEGER, which has 64 bits there."""
Json = JSON(none_as_null=True).with_variant(_JsonText(), "postgresql")


def to_json(value: Any) -> str:
    """Write JSON, arrays of numpy included."""
    return json.dumps(value, default=_plain)


def _plain(value: Any) -> Any:
    if isinstance(value, (np.ndarray, np.generic)):
        return value.tolist()
    raise TypeError(f"the state database holds JSON, not {type(value).__name__}")
