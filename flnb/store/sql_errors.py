"""What is wrong with a query, in our words, with the nearest name there is.

DuckDB says it for whoever knows DuckDB, and sees tables beside those of the lab.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import duckdb

from flnb.core.errors import QueryRefusedError, did_you_mean
from flnb.store.tables import TABLES

_Said = Callable[[re.Match[str], str], tuple[str, str]]
"""From what was found in DuckDB's words, and the query, to a message and a hint."""


def in_our_words(error: duckdb.Error, sql: str) -> QueryRefusedError:
    """Say why DuckDB does not answer a query.

    Args:
        error: What it raised.
        sql: The query.
    """
    text = str(error).partition("\n\nLINE ")[0].strip()
    for pattern, said in _KNOWN:
        if found := pattern.search(text):
            message, hint = said(found, sql)
            return QueryRefusedError(message, hint=hint)
    return QueryRefusedError(re.sub(r"^[A-Z]\w+ Error: ", "", text))


def _table(found: re.Match[str], _: str) -> tuple[str, str]:
    return f"no table {found[1]!r}", did_you_mean(found[1], [spec.name for spec in TABLES])


def _alias(found: re.Match[str], _: str) -> tuple[str, str]:
    return f"the query names no table {found[1]!r} after FROM", did_you_mean(
        found[1], _quoted(found[2])
    )


def _column(found: re.Match[str], sql: str) -> tuple[str, str]:
    name = found[1] or found[2]
    asked = [spec for spec in TABLES if re.search(rf"\b{spec.name}\b", sql, re.IGNORECASE)]
    known = sorted({column.name for spec in asked for column in spec.columns})
    where = f" in {', '.join(spec.name for spec in asked)}" if asked else ""
    return f"no column {name!r}{where}", did_you_mean(name, known)


def _function(found: re.Match[str], _: str) -> tuple[str, str]:
    return f"no function {found[1]}()", f"did you mean {found[2]!r}?" if found[2] else ""


def _ambiguous(found: re.Match[str], _: str) -> tuple[str, str]:
    name, places = found[1], re.findall(r"'([^']+)'", found[2])
    return f"several tables have a column {name!r}", f"write {' or '.join(places)}"


def _syntax(found: re.Match[str], _: str) -> tuple[str, str]:
    return f"the query cannot be read at {found[1]!r}", "it is SQL of DuckDB: SELECT … FROM …"


def _quoted(text: str) -> Sequence[str]:
    return re.findall(r'"([^"]+)"', text)


_KNOWN: tuple[tuple[re.Pattern[str], _Said], ...] = (
    (re.compile(r'Table with name "?([^"\s]+)"? does not exist'), _table),
    (re.compile(r'Referenced table "([^"]+)" not found(.*)', re.DOTALL), _alias),
    (
        re.compile(r'Referenced column "([^"]+)" not found|not have a column named "([^"]+)"'),
        _column,
    ),
    (
        re.compile(r'Function with name (\S+) does not exist!(?:\nDid you mean "([^"]+)")?'),
        _function,
    ),
    (re.compile(r'Ambiguous reference to column name "([^"]+)" \(use: (.*)\)'), _ambiguous),
    (re.compile(r'syntax error at or near "([^"]+)"'), _syntax),
)
