"""Large vectors in files without a name, so that the kernel can take their pages back.

A version of the model is written once, then only read: by whoever it is sent to, by the process
that commits it, by the step to the next one. In memory of its own it would fill the machine for a
whole round. In a file of the lab's disk the kernel writes it out when somebody needs the room, and
reads it again. A file goes with the last window on it, and with this process, however it ends.

Where a file cannot be had, such as on a full disk, a vector is in memory as ever.
"""

from __future__ import annotations

import logging
import mmap
import os
import tempfile
import weakref
from collections import deque
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Shaped
from numpy.typing import DTypeLike

from flnb.tensors.model import Model
from flnb.tensors.reuse import LARGE_BYTES, unfilled

log = logging.getLogger(__name__)

_KEPT = 2
"""Files that wait to be written over: a new one would have its pages cleared."""


class Lent(NamedTuple):
    """Where a vector lies, for another process."""

    fd: int
    """Of the file; stays open for as long as the vector is there."""
    n_bytes: int
    """Size of the file."""
    offset: int
    """Where the vector begins, in bytes."""


class _File:
    """A file and its window."""

    def __init__(self, folder: Path, n_bytes: int) -> None:
        with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
            # Promised now: whoever writes to a page for which there is no room is killed.
            os.posix_fallocate(file.fileno(), 0, n_bytes)
            self.fd = os.dup(file.fileno())
        self.bytes = np.frombuffer(mmap.mmap(self.fd, n_bytes), np.uint8)

    def __del__(self) -> None:
        """Give the descriptor back."""
        if hasattr(self, "fd"):
            os.close(self.fd)


class Shelf:
    """Vectors on the disk of one folder; may be used from several threads.

    A file is used again when no array and no memoryview of it is left.

    Args:
        folder: Says which disk; nothing is to be seen in it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._free: deque[_File] = deque(maxlen=_KEPT)

    def vector(self, n: int, dtype: DTypeLike) -> Shaped[np.ndarray, " n"]:
        """Make a vector of `n` values that starts on 64 bytes; every one is to be written."""
        n_bytes = n * np.dtype(dtype).itemsize
        if n_bytes < LARGE_BYTES:
            return unfilled(n, dtype)
        try:
            file = self._found(n_bytes) or _File(self._folder, n_bytes)
        except (OSError, AttributeError) as error:  # macOS makes no such promise
            log.info("a vector of %.1f MB is held in memory: %s", n_bytes / 1e6, error)
            return unfilled(n, dtype)
        # Through a memoryview, as in `reuse.py`.
        window = np.frombuffer(file.bytes.data, np.uint8)
        where = window.ctypes.data
        _seen[where] = file, self
        weakref.finalize(window, self._put_back, where).atexit = False
        return window.view(dtype)

    def put(self, model: Model) -> Model:
        """The same version on the shelf; copied if it is large and not there yet."""
        if model.values.nbytes < LARGE_BYTES or lent(model.values) is not None:
            return model
        values = self.vector(model.values.size, np.float32)
        values[:] = model.values
        return Model(model.layout, values, model.integers)

    def clear(self) -> None:
        """Let go of what waits to be written over."""
        self._free.clear()

    def _put_back(self, where: int) -> None:
        file, _ = _seen.pop(where)
        self._free.append(file)

    def _found(self, n_bytes: int) -> _File | None:
        for _ in range(len(self._free)):
            try:
                file = self._free.popleft()
            except IndexError:
                break
            if file.bytes.size == n_bytes:
                return file
        return None  # those of another size are gone: versions of one run are alike


# What a dict does is one step, so there is no lock: windows go in any thread, at any moment.
_seen: dict[int, tuple[_File, Shelf]] = {}
"""Files that somebody sees, by address."""


def lent(array: np.ndarray) -> Lent | None:
    """Where an array in one piece lies, if it is on a shelf of this process."""
    start = array.ctypes.data
    for where, (file, _) in list(_seen.items()):
        if where <= start and start + array.nbytes <= where + file.bytes.size:
            return Lent(file.fd, file.bytes.size, start - where)
    return None


def beside(array: Shaped[np.ndarray, " n"]) -> Shaped[np.ndarray, " n"]:
    """Make a vector like another one, on the shelf that it is on; every value is to be written."""
    start = array.ctypes.data
    for where, (file, shelf) in list(_seen.items()):
        if where <= start < where + file.bytes.size:
            return shelf.vector(array.size, array.dtype)
    return unfilled(array.size, array.dtype)
