"""Large vectors in files without a name, so that the kernel can take their pages back.

A version of the model is written once, then only read: by whoever it is sent to, by the process
that commits it, by the step to the next one. In memory of its own it would fill the machine for a
whole round. In a file of the lab's disk the kernel writes it out when somebody needs the room, and
reads it again. A file goes with the last window on it, and with this process, however it ends.

Where a file cannot be had, such as on a full disk, a vector is in memory as ever. So is a version
that is read back from that disk, while there is plenty: what goes into a file is written out by
the kernel beside, and whoever waits for the rest of it has half a disk.
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
from jaxtyping import Shaped, UInt8
from numpy.typing import DTypeLike

from flnb.tensors.memory import available_bytes
from flnb.tensors.model import Model
from flnb.tensors.reuse import LARGE_BYTES, unfilled

log = logging.getLogger(__name__)

_KEPT = 2
"""Files that wait to be written over: a new one would have its pages cleared."""
_PLENTY = 3
"""So many versions must fit into memory for one to be kept there: a round holds three, and this
one among them."""


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
        return self._window(file.bytes, file).view(dtype)

    def vector_to_read(self, n: int, dtype: DTypeLike) -> Shaped[np.ndarray, " n"]:
        """Make a vector that the disk is to fill; in memory while there is plenty.

        What is made beside it lies on the shelf all the same.
        """
        n_bytes = n * np.dtype(dtype).itemsize
        if n_bytes < LARGE_BYTES or available_bytes() < _PLENTY * n_bytes:
            return self.vector(n, dtype)
        return self._window(unfilled(n_bytes, np.uint8), None).view(dtype)

    def put(self, model: Model) -> Model:
        """The same version on the shelf; copied if it is large and not from there."""
        if model.values.nbytes < LARGE_BYTES or _place_of(model.values) is not None:
            return model
        values = self.vector(model.values.size, np.float32)
        values[:] = model.values
        return Model(model.layout, values, model.integers)

    def clear(self) -> None:
        """Let go of what waits to be written over."""
        self._free.clear()

    def _window(
        self, memory: UInt8[np.ndarray, " n"], file: _File | None
    ) -> UInt8[np.ndarray, " n"]:
        # Through a memoryview, as in `reuse.py`.
        window = np.frombuffer(memory.data, np.uint8)
        where = window.ctypes.data
        _seen[where] = _Place(where, window.size, file, self)
        weakref.finalize(window, self._put_back, where).atexit = False
        return window

    def _put_back(self, where: int) -> None:
        file = _seen.pop(where).file
        if file is not None:
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


class _Place(NamedTuple):
    """Where a vector of a shelf lies."""

    start: int
    """Its address."""
    n_bytes: int
    file: _File | None
    """None in memory."""
    shelf: Shelf


# What a dict does is one step, so there is no lock: windows go in any thread, at any moment.
_seen: dict[int, _Place] = {}
"""What somebody sees, by address."""


def lent(array: np.ndarray) -> Lent | None:
    """Where an array in one piece lies, if it is in a file of this process."""
    place = _place_of(array)
    if place is None or place.file is None:
        return None
    return Lent(place.file.fd, place.n_bytes, array.ctypes.data - place.start)


def beside(array: Shaped[np.ndarray, " n"]) -> Shaped[np.ndarray, " n"]:
    """Make a vector like another one, on the shelf that it is of; every value is to be written."""
    place = _place_of(array)
    if place is None:
        return unfilled(array.size, array.dtype)
    return place.shelf.vector(array.size, array.dtype)


def _place_of(array: np.ndarray) -> _Place | None:
    start = array.ctypes.data
    for place in list(_seen.values()):
        if place.start <= start and start + array.nbytes <= place.start + place.n_bytes:
            return place
    return None
