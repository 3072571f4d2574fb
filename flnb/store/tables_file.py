"""The DuckDB file of the tables: opened, made, and set aside when it is damaged or of another lab."""

from __future__ import annotations

import errno
import os
from contextlib import closing as closing_after
from pathlib import Path

import duckdb

from flnb.core.errors import StoreError
from flnb.store import projection
from flnb.store.select_only import locked_down

_DAMAGED = (
    duckdb.FatalException,
    duckdb.InternalException,
    duckdb.IOException,
    duckdb.SerializationException,
)
_NO_DAMAGE = [
    os.strerror(number)
    for number in (errno.EACCES, errno.EPERM, errno.EROFS, errno.EMFILE, errno.ENFILE)
]
"""What DuckDB says when the file may be whole, but cannot be opened now."""


def connect(path: Path | None, stamp: str) -> duckdb.DuckDBPyConnection:
    """Open the tables, and make them where there are none of this stamp.

    Args:
        path: The file; None keeps them in memory.
        stamp: What they are made from and for. A file with another one is set aside: it is of another
            lab, or of an flnb with other tables.
    """
    connection = locked_down(str(path or ":memory:"))
    if _stamp(connection) not in {None, stamp}:
        connection.close()
        set_aside(path)
        connection = locked_down(str(path))
    with closing_after(connection.cursor()) as cursor:
        if _stamp(cursor) is None:
            cursor.execute("BEGIN TRANSACTION")
            for statement in projection.DDL:
                cursor.execute(statement)
            cursor.execute("INSERT INTO flnb.stamp VALUES ($1)", [stamp])
            cursor.execute("COMMIT")
    return connection


def check_openable(path: Path | None, error: duckdb.Error) -> None:
    """Raise unless only damage of the file can explain the error."""
    if "Could not set lock" in str(error):
        raise StoreError(
            f"{path} is open in another program: {error}",
            hint="close it there; reading it needs a copy of the file",
        ) from error
    if any(text in str(error) for text in _NO_DAMAGE):
        raise StoreError(f"{path} cannot be opened: {error}") from error
    if not means_damage(error):
        raise error


def set_aside(path: Path | None) -> None:
    """Let the next call make the file anew; what is there stays under another name."""
    if path is not None and path.exists():
        # Its log would be replayed into the new file.
        path.with_name(f"{path.name}.wal").unlink(missing_ok=True)
        path.replace(path.with_name(f"{path.name}.old"))


def means_damage(error: duckdb.Error) -> bool:
    """Whether an error says that the file is damaged."""
    # A wrong checksum is raised as no class in particular.
    return isinstance(error, _DAMAGED) or type(error) is duckdb.Error


def _stamp(connection: duckdb.DuckDBPyConnection) -> str | None:
    """What the tables were made from and for, None when there are none yet."""
    try:
        found = connection.execute("SELECT stamp FROM flnb.stamp").fetchone()
    except duckdb.CatalogException:
        return None
    return str(found[0]) if found else None
