"""The Icechunk repository of a place: opened, made where it is missing, locked where it must be.

On a local disk Icechunk cannot compare and swap, so a lock of the kernel lets one process write at a
time. In S3 it can, on a server that has conditional writes; others are refused.
"""

from __future__ import annotations

import copy
import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from flnb.core import failpoints
from flnb.core.errors import FLBaseError, StorageUnreachableError, StoreError
from flnb.store import silence
from flnb.store.causes import cause, words
from flnb.store.disk import room_at
from flnb.store.place import HistoryPlace
from flnb.store.silence import answered, patient

if TYPE_CHECKING:
    from icechunk import Repository, RepositoryConfig

FIRST_BRANCH = "main"
"""Icechunk's own branch, which stays empty; every run starts from it."""
_FIRST_SNAPSHOT = "1CECHNKREP0F1RSTCMT0"
"""What that branch names in every repository."""
_LOCK = ".lock"
_LOCK_TIMEOUT_S = 30.0
_LOCK_PAUSE_S = 0.01
_TRIES = 4
"""Of each request to S3; whoever commits waits longer than these last, and starts again."""
_LONGEST_PAUSE_MS = 1000
_PARTS = 2
"""In which Icechunk reads a chunk from a folder, each with a file opened for it: five by default,
which take a quarter of the processor time of a version more. One whole is read 8 KiB at a time."""
_LEAST_PART_BYTES = 4096
"""No part is shorter; what Icechunk takes for a folder by itself."""


def open_repository(
    place: HistoryPlace, *, create: bool = True, checked: bool = False
) -> Repository:
    """Open a repository, and make it if there is none.

    Args:
        place: Where it lies.
        create: Whether it may be made; otherwise nothing is written, and no right to is needed.
        checked: Whether somebody has tried already what the bucket can do.

    Raises:
        NotFoundError: There is no such bucket.
        AccessRefusedError: The bucket does not let us in.
        StorageUnreachableError: Its server does not answer.
        StoreError: The bucket ignores conditional writes; the place holds something else; another process is writing and does not end.
    """
    import icechunk

    if "ICECHUNK_LOG" not in os.environ:
        icechunk.set_logs_filter("off")  # it writes warnings to the standard output
    with plain_errors(place):
        if place.folder is None:
            return _open_in_bucket(place, create=create, checked=checked)
        if not _is_there(place.folder):
            if not create:
                raise _missing(place)
            place.folder.parent.mkdir(parents=True, exist_ok=True)
            with exclusive(HistoryPlace(place.folder.parent)):
                if not _is_there(place.folder):
                    _create(place.folder)
        return icechunk.Repository.open(place.storage(), _config_for_folders())


@contextmanager
def plain_errors(place: HistoryPlace) -> Iterator[None]:
    """Turn errors of Icechunk and of the system into ours.

    Raises:
        StorageFullError: The disk is full.
        NotFoundError: There is no such bucket.
        AccessRefusedError: The bucket does not let us in.
        StorageUnreachableError: Its server does not answer.
        StoreError: Something else is in the way.
    """
    import icechunk

    if place.folder is None:
        from flnb.store.bucket import in_plain_words  # needed in S3 only

        try:
            yield
        except icechunk.IcechunkError as error:
            raise in_plain_words(place, error) or _unusable(place, error) from error
        except TimeoutError as error:
            said = f"no answer for {silence.ANSWER_S:.0f} s"
            raise StorageUnreachableError(str(place), said) from error
        return
    try:
        with room_at(place.folder, icechunk.IcechunkError):
            yield
    except (OSError, icechunk.IcechunkError) as error:
        raise _unusable(place, error) from error


def _unusable(place: HistoryPlace, error: Exception) -> FLBaseError:
    hint = "no commit was given up; once that is mended, run.resume()"
    return StoreError(f"{place} cannot be used: {cause(error)}", hint=hint)


@contextmanager
def exclusive(place: HistoryPlace) -> Iterator[None]:
    """One writer at a time in a folder, where Icechunk cannot compare and swap.

    The writer process of a coordinator that was killed may still be at work when the next
    coordinator resets its branch.

    Raises:
        StoreError: Another process is writing and does not end.
    """
    if place.folder is None:
        yield
        return
    # A file that may be written: NFS locks no others.
    fd = os.open(place.folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        for _ in range(int(_LOCK_TIMEOUT_S / _LOCK_PAUSE_S)):
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                time.sleep(_LOCK_PAUSE_S)
        else:
            raise StoreError(
                f"another process has been writing to {place} for {_LOCK_TIMEOUT_S:.0f} s",
                hint="look for a history writer that hangs, end it, then resume the run",
            )
        yield
    finally:
        os.close(fd)


def _open_in_bucket(place: HistoryPlace, *, create: bool, checked: bool) -> Repository:
    import icechunk

    from flnb.store.bucket import check_bucket, finish_creation  # needed in S3 only

    if create and not checked:
        check_bucket(place)
    storage, config = place.storage(), _config()
    if not answered(lambda: icechunk.Repository.exists(storage)):
        if not create:
            raise _missing(place)
        try:
            # With settings, it would keep them there.
            answered(lambda: icechunk.Repository.create(storage))
        except icechunk.IcechunkError as error:
            if not any(sign in words(error) for sign in ("clean prefixes", "conflict")):
                raise
            if not answered(lambda: icechunk.Repository.exists(storage)):
                finish_creation(place, _FIRST_SNAPSHOT)
    opened = answered(lambda: icechunk.Repository.open(storage, config))
    # Its client was made before the settings were known and tries for half a minute; one that is
    # read again makes a client of its own, by them.
    return patient(copy.copy(opened))


def _is_there(folder: Path) -> bool:
    return folder.exists() and any(folder.iterdir())


def _missing(place: HistoryPlace) -> StoreError:
    return StoreError(
        f"there is no commit of any run at {place}: it holds no history",
        hint="look whether the disk is there, or the server the right one",
    )


def _config() -> RepositoryConfig:
    """Few tries, soon after each other: by default a request is tried for half a minute."""
    import icechunk

    config = icechunk.RepositoryConfig.default()
    retries = icechunk.StorageRetriesSettings(max_tries=_TRIES, max_backoff_ms=_LONGEST_PAUSE_MS)
    config.storage = icechunk.StorageSettings(retries=retries)
    return config


def _config_for_folders() -> RepositoryConfig:
    import icechunk

    config = icechunk.RepositoryConfig.default()
    parts = icechunk.StorageConcurrencySettings(
        max_concurrent_requests_for_object=_PARTS, ideal_concurrent_request_size=_LEAST_PART_BYTES
    )
    config.storage = icechunk.StorageSettings(concurrency=parts)
    return config


def _create(folder: Path) -> None:
    """Make the repository whole or not at all: Icechunk takes no folder that holds half of one."""
    import icechunk

    draft = folder.with_name(f".{folder.name}")
    if draft.exists():  # of a process that was killed, or found the disk full
        shutil.rmtree(draft)
    icechunk.Repository.create(icechunk.local_filesystem_storage(str(draft)))
    failpoints.reach("history-made")
    draft.rename(folder)
