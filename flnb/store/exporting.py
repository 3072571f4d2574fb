"""Tables as Parquet files, in a folder or in S3, for programs that know nothing of labs."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa

from flnb.core.errors import AccessRefusedError, NotFoundError, StoreError
from flnb.store.disk import room_at
from flnb.store.place import HistoryPlace, endpoint_url, region
from flnb.store.table import Table
from flnb.store.tables import TABLES

_TIMEOUT_S = 600.0


def export_tables(
    stream: Callable[..., int], target: str | Path, tables: Sequence[str] = ()
) -> Table:
    """Write tables of a lab as Parquet files; for target, tables, answer and errors see `Lab.export_metrics`.

    Args:
        stream: Hands the answer to a SELECT on piece by piece, as `Metrics.stream` does.
        target: Where to.
        tables: Which.
    """
    known = [table.name for table in TABLES]
    for name in tables:
        if name not in known:
            raise NotFoundError("table", name, known)
    place, chosen = HistoryPlace.parse(target), list(tables) or known
    rows, files = [], []
    for name in chosen:
        file = place.below(f"{name}.parquet")
        take = partial(write_parquet, file=file)
        rows.append(stream(f"SELECT * FROM {name}", take, timeout_s=_TIMEOUT_S))  # noqa: S608  # one of TABLES
        files.append(str(file))
    return Table.of({"table": chosen, "rows": rows, "file": files})


def write_parquet(rows: pa.RecordBatchReader, file: HistoryPlace) -> int:
    """Write rows as one file, whole or not at all; a file of before is replaced.

    Args:
        rows: All of them, piece by piece: never more than a few pieces are in memory.
        file: In a folder, made where it is missing, or in S3, reached through s3fs.

    Returns:
        How many rows there were.

    Raises:
        NotFoundError: There is no such bucket.
        AccessRefusedError: The bucket does not let us in.
        StorageUnreachableError: Its server does not answer.
        StorageFullError: The disk is full.
        StoreError: The folder cannot be written, or s3fs is not installed.
    """
    if file.folder is not None:
        with room_at(file.folder.parent), _writable(file):
            file.folder.parent.mkdir(parents=True, exist_ok=True)
            with _draft(rows, file.folder) as (draft, written):
                draft.replace(file.folder)
        return written
    # What is written to S3 directly is there as soon as it is closed, also after an error.
    with (
        TemporaryDirectory(prefix="flnb-") as folder,
        room_at(Path(folder)),
        _draft(rows, Path(folder, "rows")) as (draft, written),
        _bucket(file) as bucket,
    ):
        bucket.put_file(str(draft), f"{file.bucket}/{file.prefix}")
    return written


def copy_file(source: Path, target: HistoryPlace) -> None:
    """Copy a file to where everybody finds it who reads a lab; one of before is replaced.

    Args:
        source: On this machine.
        target: In a folder, made where it is missing, or in S3, reached through s3fs.

    Raises:
        NotFoundError: There is no such bucket.
        AccessRefusedError: The bucket does not let us in.
        StorageUnreachableError: Its server does not answer.
        StorageFullError: The disk is full.
        StoreError: The folder cannot be written, or s3fs is not installed.
    """
    if target.folder is None:
        with _bucket(target) as bucket:
            bucket.put_file(str(source), f"{target.bucket}/{target.prefix}")
        return
    with room_at(target.folder.parent), _writable(target):
        target.folder.parent.mkdir(parents=True, exist_ok=True)
        draft = target.folder.with_name(f".{target.folder.name}-{secrets.token_hex(8)}")
        shutil.copyfile(source, draft)
        draft.replace(target.folder)


@contextmanager
def _draft(rows: pa.RecordBatchReader, beside: Path) -> Iterator[tuple[Path, int]]:
    """Rows as a file of a name of its own, which is gone afterwards, and how many they were."""
    from pyarrow import parquet  # takes a moment, and most processes never export

    draft, written = beside.with_name(f".{beside.name}-{secrets.token_hex(8)}"), 0
    try:
        with parquet.ParquetWriter(draft, rows.schema) as writer:
            for batch in rows:
                writer.write_batch(batch)
                written += batch.num_rows
        yield draft, written
    finally:
        draft.unlink(missing_ok=True)


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
