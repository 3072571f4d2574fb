"""Large files that nobody needs any more, kept for a moment to be written over.

The kernel clears the pages of a new file and takes those of a deleted one back: for 64 MB that is
25 ms of processor time, as much as to hash them twice. What is still mapped somewhere is deleted
as ever, so whoever reads it reads on.
"""

from __future__ import annotations

import mmap
import os
import threading
import weakref
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

_LARGE_BYTES = 4 * 1024 * 1024
_SLACK_BYTES = 64 * 1024
"""Headers and feet of files that are otherwise alike differ by less."""
_MOST_BYTES = 1024**3
"""Of all spare files of a folder, where more than a single one is kept."""
_SUFFIX = ".spare"

_windows: dict[tuple[int, int], weakref.WeakSet[mmap.mmap]] = {}
"""Windows on files that were opened by `mapped`, by device and inode."""
_lock = threading.Lock()
"""Held while a file is mapped, and while one that is not gets another name."""


def mapped(path: Path) -> UInt8[np.ndarray, " n"]:
    """See a file that is not empty as bytes, read-only; read as it is used, for as long as it is."""
    with _lock, path.open("rb") as file:
        window = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
        _windows.setdefault(_inode(file.fileno()), weakref.WeakSet()).add(window)
    return np.frombuffer(window, np.uint8)


class SpareFiles:
    """A few spare files of one folder; may be used from several threads.

    Args:
        folder: Where they lie; those that an earlier process left there are deleted.
        most: How many are kept, of large ones fewer.
    """

    def __init__(self, folder: Path, most: int = 2) -> None:
        self._folder, self._most = folder, most
        self._kept: list[tuple[Path, int]] = []
        self._number = 0
        self._own = threading.Lock()
        for path in folder.glob(f"*{_SUFFIX}"):
            path.unlink(missing_ok=True)

    def put(self, path: Path) -> None:
        """Take over a file that is not needed any more; nobody may open it after this."""
        with self._own, _lock:
            n_bytes = path.stat().st_size if path.exists() else 0
            if n_bytes < _LARGE_BYTES or self._is_full(n_bytes) or _is_mapped(path):
                path.unlink(missing_ok=True)
                return
            self._number += 1
            spare = self._folder / f"{self._number}{_SUFFIX}"
            path.rename(spare)
            self._kept.append((spare, n_bytes))

    def take(self, n_bytes: int, path: Path, *, cut: bool = True) -> bool:
        """Give a spare file of about this size another name; False if there is none.

        What is in it is of no use.

        Args:
            n_bytes: How large the file will be.
            path: The name.
            cut: Let it have just this size. To make a file shorter waits until its end is on the
                disk; whoever writes a new end cuts it off there himself.
        """
        with self._own:
            for spare in self._kept:
                if n_bytes >= _LARGE_BYTES and abs(spare[1] - n_bytes) <= _SLACK_BYTES:
                    self._kept.remove(spare)
                    break
            else:
                return False
        try:
            spare[0].rename(path)
        except FileNotFoundError:  # whoever tidied the disk took it for a file of nobody
            return False
        if cut and spare[1] != n_bytes:
            os.truncate(path, n_bytes)
        return True

    def _is_full(self, n_bytes: int) -> bool:
        held = sum(size for _, size in self._kept)
        return len(self._kept) == self._most or (held > 0 and held + n_bytes > _MOST_BYTES)

    def drop(self) -> None:
        """Delete them all."""
        with self._own:
            kept, self._kept = self._kept, []
        for path, _ in kept:
            path.unlink(missing_ok=True)


def _is_mapped(path: Path) -> bool:
    inode = _inode(path)
    if _windows.get(inode):
        return True
    _windows.pop(inode, None)
    return False


def _inode(file: Path | int) -> tuple[int, int]:
    found = os.stat(file)
    return found.st_dev, found.st_ino
