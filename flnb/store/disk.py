"""What a disk does: when it is full, one error whichever library noticed; and files that stay.

Icechunk writes files and never waits for the disk. `write_out` does, so that a row which is written
after it never names what a power cut took.
"""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flnb.core.errors import StorageFullError

_FULL_ERRNOS = {errno.ENOSPC, errno.EDQUOT}
_FULL_TEXTS = ("database or disk is full", "no space left", "disk quota exceeded")
_IO_TEXT = "disk i/o error"
_NOTHING_FREE_BYTES = 64 * 1024
_libc = ctypes.CDLL(None, use_errno=True)


@contextmanager
def room_at(where: Path, *errors: type[Exception]) -> Iterator[None]:
    """Turn an error that means "the disk is full" into one that says so.

    Args:
        where: File or folder that is written.
        errors: Classes of the library that does the writing, beside OSError.

    Raises:
        StorageFullError: No space is left at `where`.
    """
    caught: tuple[type[Exception], ...] = (OSError, *errors)
    try:
        yield
    except caught as error:
        free = free_bytes(where)
        if _means_full(error, free):
            raise StorageFullError(str(where), free) from error
        raise


def write_out(where: Path) -> None:
    """Wait until all that was written to the file system of a folder is on the disk.

    One call for the whole file system: a commit is four small files or four hundred large ones, and
    to wait for each of them took 3 to 70 times as long.

    Raises:
        OSError: Not all of it could be written.
    """
    fd = os.open(where, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if _libc.syncfs(fd) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), str(where))
    finally:
        os.close(fd)


def free_bytes(where: Path) -> int:
    """Bytes that can still be written where `where` lies."""
    while not where.exists():
        where = where.parent
    return shutil.disk_usage(where).free


def _means_full(error: Exception, free: int) -> bool:
    if isinstance(error, OSError) and error.errno in _FULL_ERRNOS:
        return True
    text = str(error).lower()
    if any(full in text for full in _FULL_TEXTS):
        return True
    # SQLite says no more than "disk I/O error" when its shared-memory file cannot grow.
    return free < _NOTHING_FREE_BYTES and _IO_TEXT in text
