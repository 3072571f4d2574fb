"""What people may ask of the tables: exactly one SELECT that reads nothing else and ends in time.

Four walls, because each has a hole that another one closes. The connection itself can reach no
file, extension or Python variable (`locked_down`). DuckDB's own parser says that there is one
SELECT; but `WITH x AS (INSERT …) SELECT` is a SELECT to it, so the query runs in a read-only
transaction. Rows, memory and time are limited; but functions that make a huge value in a single
call look at no limit and no interrupt, so those are refused by name.

This keeps secrets and tables safe from any query, and the process from a careless one. Somebody
who tries can still fill the memory; queries of strangers belong in a process of their own.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import duckdb
import pyarrow as pa

from flnb.core.errors import QueryRefusedError
from flnb.store.sql_errors import in_our_words

MAX_CHARACTERS = 20_000
"""Deeper nesting than fits in here overflows the stack of DuckDB's parser."""
MEMORY_LIMIT = "1GB"
BATCH_ROWS = 100_000
"""Of an answer that is taken piece by piece."""
T = TypeVar("T")
_AGAIN_S = 0.05
"""Between two interruptions of a query that goes on."""
_SETTINGS: dict[str, str | bool | int | float | list[str]] = {
    "enable_external_access": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "python_enable_replacements": "false",
    "memory_limit": MEMORY_LIMIT,
    "temp_directory": "",
    "threads": 1,
    "checkpoint_threshold": "256KB",
}
_UNBOUNDED = {
    "array_resize": "",
    "format": "use round(x, digits)",
    "generate_series": "use FROM range(…), the table function",
    "json_execute_serialized_sql": "",
    "list_resize": "",
    "lpad": "",
    "printf": "use round(x, digits)",
    "query": "",
    "query_table": "",
    "range": "use FROM range(…), the table function",
    "repeat": "",
    "rpad": "",
}
"""Functions that can fill the memory in one call or hide a query, and what to use instead."""
_STREAMED = {"generate_series", "range"}
"""Of those, the ones that are harmless as a table in FROM."""
_NOT_IN_ARROW = {"bignum", "bit", "time with time zone", "uhugeint", "union"}
"""Types whose values Arrow would carry as others, or as bytes of DuckDB's own: they become text."""


def locked_down(path: str) -> duckdb.DuckDBPyConnection:
    """Open a database that can reach no file but its own, from which nobody can unlock it.

    Args:
        path: The file, or `:memory:`.
    """
    connection = duckdb.connect(path, config=_SETTINGS)
    if connection.execute("SELECT current_setting('lock_configuration')").fetchone() == (False,):
        connection.execute("SET GLOBAL TimeZone = 'UTC'")
        connection.execute("SET lock_configuration = true")
    return connection


def select(cursor: duckdb.DuckDBPyConnection, sql: str, *, rows: int, timeout_s: float) -> pa.Table:
    """Answer one SELECT.

    Args:
        cursor: A fresh cursor of a `locked_down` connection; close it afterwards.
        sql: The query.
        rows: Refuse an answer with more rows.
        timeout_s: Refuse to work on it any longer.

    Raises:
        QueryRefusedError: Not one read-only SELECT, or over a limit; says which.
    """
    with _limited(cursor, sql, timeout_s):
        _check(cursor, sql)
        cursor.execute("BEGIN TRANSACTION READ ONLY")
        table = _answer(cursor, sql).limit(rows + 1).to_arrow_table()
    if table.num_rows > rows:
        raise QueryRefusedError(
            f"the answer has more than {rows:,} rows",
            hint="aggregate, add LIMIT, or ask for more with rows=…",
        )
    return table


def stream(
    cursor: duckdb.DuckDBPyConnection,
    sql: str,
    take: Callable[[pa.RecordBatchReader], T],
    *,
    timeout_s: float,
) -> T:
    """Hand the answer to one SELECT on piece by piece, whatever its size.

    Args:
        cursor: As for `select`.
        sql: The query.
        take: Gets all batches, while the query goes on; what it returns is returned.
        timeout_s: Refuse to work on both any longer.

    Raises:
        QueryRefusedError: Not one read-only SELECT, or over a limit; says which.
    """
    with _limited(cursor, sql, timeout_s):
        _check(cursor, sql)
        cursor.execute("BEGIN TRANSACTION READ ONLY")
        try:
            return take(_answer(cursor, sql).to_arrow_reader(BATCH_ROWS))
        except OSError as error:  # of Arrow, in whose hands the query goes on
            if "INTERRUPT Error" not in str(error):
                raise
            raise duckdb.InterruptException(str(error)) from error


def _check(cursor: duckdb.DuckDBPyConnection, sql: str) -> None:
    if len(sql) > MAX_CHARACTERS:
        raise QueryRefusedError(
            f"a query has at most {MAX_CHARACTERS:,} characters, got {len(sql):,}"
        )
    statements = cursor.extract_statements(sql)
    kinds = [statement.type.name for statement in statements]
    if kinds != ["SELECT"]:
        found = ", ".join(kinds) or "nothing"
        raise QueryRefusedError(
            f"exactly one SELECT statement can be asked, got {len(kinds)} ({found})",
            hint="lab.sql reads; runs are changed with run.pause(), run.stop() and the like",
        )
    (tree,) = cursor.execute("SELECT json_serialize_sql($1)", [sql]).fetchone() or ("{}",)
    try:
        called = set(_functions(json.loads(tree)))
    except RecursionError as error:
        raise QueryRefusedError("the query is nested too deeply") from error
    for name in sorted(called & _UNBOUNDED.keys()):
        raise QueryRefusedError(
            f"{name}() cannot be used here: no limit would hold for it",
            hint=_UNBOUNDED[name],
        )


def _answer(cursor: duckdb.DuckDBPyConnection, sql: str) -> duckdb.DuckDBPyRelation:
    """What a query answers, once somebody takes it, with text for what Arrow has no type for."""
    answer = cursor.sql(_bare(sql))
    as_text = [_is_not_in_arrow(kind) for kind in answer.types]
    if not any(as_text):
        return answer
    columns = [
        f'CAST(#{place} AS VARCHAR) AS "{name.replace(chr(34), chr(34) * 2)}"'
        if text
        else f"#{place}"
        for place, (name, text) in enumerate(zip(answer.columns, as_text, strict=True), start=1)
    ]  # by place: names may be there twice
    return answer.project(", ".join(columns))


def _is_not_in_arrow(kind: object) -> bool:
    if not isinstance(kind, duckdb.sqltypes.DuckDBPyType):
        return False  # the length of an array
    if kind.id in {"array", "list", "map", "struct"}:
        return any(_is_not_in_arrow(child) for _, child in kind.children)
    return kind.id in _NOT_IN_ARROW


def _bare(sql: str) -> str:
    """The statement without semicolons and comments after it, so that it can be wrapped."""
    text = sql.encode()
    for offset, kind in reversed(duckdb.tokenize(sql)):
        if kind is not duckdb.token_type.comment and text[offset : offset + 1] != b";":
            break
        text = text[:offset]
    return text.decode()


def _functions(node: Any) -> Iterator[str]:
    """Names of all functions called in a parsed query, but for harmless tables in FROM."""
    if isinstance(node, list):
        for item in node:
            yield from _functions(item)
    elif isinstance(node, dict):
        if node.get("type") == "TABLE_FUNCTION" and _name(node["function"]) in _STREAMED:
            node = node["function"]["arguments"]
        elif name := _name(node):
            yield name
        yield from _functions(list(node.values()) if isinstance(node, dict) else node)


def _name(node: dict[str, Any]) -> str:
    return str(node.get("function_name", "")).lower()


@contextmanager
def _limited(cursor: duckdb.DuckDBPyConnection, sql: str, timeout_s: float) -> Iterator[None]:
    over = threading.Event()

    def interrupt() -> None:
        # Once is not enough: an interruption between two statements is forgotten by the second.
        wait_s = timeout_s
        while not over.wait(wait_s):
            cursor.interrupt()
            wait_s = _AGAIN_S

    timer = threading.Thread(target=interrupt, name="flnb-query-limit", daemon=True)
    timer.start()
    try:
        yield
    except duckdb.InterruptException as error:
        raise QueryRefusedError(
            f"the query took longer than {timeout_s:g} s",
            hint="ask for less, or give it longer with timeout_s=…",
        ) from error
    except duckdb.OutOfMemoryException as error:
        raise QueryRefusedError(
            f"the query needs more than {MEMORY_LIMIT} of memory",
            hint="aggregate earlier, or select fewer rounds",
        ) from error
    except (duckdb.ProgrammingError, duckdb.DataError, duckdb.NotSupportedError) as error:
        raise in_our_words(error, sql) from error
    except (duckdb.PermissionException, duckdb.TransactionException) as error:
        raise QueryRefusedError(
            f"a query reads tables of the lab and nothing else: {in_our_words(error, sql).message}"
        ) from error
    finally:
        over.set()
        timer.join()
        timer.join()
