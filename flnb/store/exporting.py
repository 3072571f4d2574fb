"""Tables as Parquet files, in a folder or in S3, for programs that know nothing of labs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa

from flnb.core.errors import AccessRefusedError, NotFoundError, StoreError
from flnb.store.disk import room_at
from flnb.store.place import HistoryPlace, endpoint_url, region
from flnb.store.table import Table
from flnb.store.tables import TABLES

_ALL_ROWS = 1_000_000_000
_TIMEOUT_S = 600.0


def export_tables(
    ask: Callable[..., Table], target: str | Path, tables: Sequence[str] = ()
) -> Table:
    """Write tables of a lab as Parquet files; see `Lab.export_metrics`.

    Args:
        ask: Answers a SELECT, as `Lab.sql` does.
        target: A folder, or `s3://bucket/prefix`.
        tables: Only these; all by default.

    Returns:
        A row a file: its table, its rows, where it lies.

    Raises:
        NotFoundError: There is no such table, or no such bucket.
        AccessRefusedError: The bucket does not let us in.
        StorageUnreachableError: Its server does not answer.
        StoreError: The folder cannot be written, or s3fs is not installed.
    """
    known = [table.name for table in TABLES]
    for name in tables:
        if name not in known:
            raise NotFoundError("table", name, known)
    place, chosen = HistoryPlace.parse(target), list(tables) or known
    rows, files = [], []
    for name in chosen:
        found = ask(f"SELECT * FROM {name}", rows=_ALL_ROWS, timeout_s=_TIMEOUT_S)  # noqa: S608  # one of TABLES
        files.append(str(write_parquet(found.arrow(), place, name)))
        rows.append(len(found))
    return Table.of({"table": chosen, "rows": rows, "file": files})


def write_parquet(table: pa.Table, target: HistoryPlace, name: str) -> HistoryPlace:
    """Write a table as one file, whole or not at all; a file of before is replaced.

    Args:
        table: The rows.
        target: A folder, made where it is missing, or a place in S3, reached through s3fs.
        name: Of the file, without its ending.

    Returns:
        Where the file lies.

    Raises:
        NotFoundError: There is no such bucket.
        AccessRefusedError: The bucket does not let us in.
        StorageUnreachableError: Its server does not answer.
        StorageFullError: The disk is full.
        StoreError: The folder cannot be written, or s3fs is not installed.
    """
    from pyarrow import parquet  # takes a moment, and most processes never export

    file = target.below(f"{name}.parquet")
    if file.folder is not None:
        draft = file.folder.with_name(f".{file.folder.name}")
        with room_at(file.folder.parent), _writable(file):
            file.folder.parent.mkdir(parents=True, exist_ok=True)
            parquet.write_table(table, draft)
            draft.replace(file.folder)
        return file
    with _bucket(file) as bucket:
        # An object is there when its last part has come, and not before.
        parquet.write_table(table, f"{file.bucket}/{file.prefix}", filesystem=bucket)
    return file


@contextmanager
def _writable(file: HistoryPlace) -> Iterator[None]:
    try:
        yield
    except (PermissionError, NotADirectoryError, FileExistsError) as error:
        raise StoreError(f"{file} cannot be written: {error.strerror}") from error


@contextmanager
def _bucket(file: HistoryPlace) -> Iterator[Any]:
    try:
        import s3fs
        from botocore.exceptions import BotoCoreError, ClientError
    except ImportError as error:
        raise StoreError(
            "files in S3 need s3fs", hint="pip install 'flnb[cloud]', then try again"
        ) from error
    from flnb.store.bucket import in_plain_words  # needs the same

    settings = {"region_name": region()} if region() else {}
    try:
        bucket = s3fs.S3FileSystem(
            endpoint_url=endpoint_url(),
            client_kwargs=settings,
            config_kwargs={"connect_timeout": 3, "retries": {"total_max_attempts": 2}},
            skip_instance_cache=True,  # the environment may name another server by now
        )
        bucket.retries = 2  # times those of the line above
        yield bucket
    except FileNotFoundError as error:
        raise NotFoundError("bucket", file.bucket) from error
    except PermissionError as error:
        raise in_plain_words(file, error) or AccessRefusedError(
            f"the credentials have no right to {file}: {error}"
        ) from error
    except (OSError, BotoCoreError, ClientError) as error:
        if (plain := in_plain_words(file, error)) is None:
            raise StoreError(f"{file} cannot be written: {error}") from error
        raise plain from error
