"""Memory that several processes see at once, without a name in the file system.

A block is an anonymous file in memory (`memfd_create`). It is handed on as a descriptor, so
nothing has to be tracked or unlinked: the kernel frees it when the last holder is gone, however
that holder ended.
"""

from __future__ import annotations

import mmap
import os
from typing import Any, Self

import numpy as np
from numpy.typing import DTypeLike

ALIGNMENT = 64
"""Bytes on which every array in a block starts; torch gives other bits for other alignments."""


class SharedBlock:
    """A stretch of memory that can be sent to other processes of ours through a `Channel`.

    Whoever creates the block may write to it, whoever receives it may only read.

    Examples:
        >>> block = SharedBlock.create(128)
        >>> block.array("float32", offset=64, count=2)[:] = 1.0
        >>> SharedBlock.attach(os.dup(block.fd), 128).array("float32", offset=64, count=2)
        array([1., 1.], dtype=float32)
    """

    def __init__(self, fd: int, n_bytes: int, *, writable: bool) -> None:
        self.n_bytes = n_bytes
        self._fd = fd
        access = mmap.PROT_READ | (mmap.PROT_WRITE if writable else 0)
        # An empty mapping is an error to the kernel, an empty block is none to us.
        self._map: mmap.mmap | None = mmap.mmap(fd, max(1, n_bytes), mmap.MAP_SHARED, access)

    @classmethod
    def create(cls, n_bytes: int) -> Self:
        """Make a zeroed block of so many bytes."""
        fd = os.memfd_create("flnb")
        os.ftruncate(fd, max(1, n_bytes))
        return cls(fd, n_bytes, writable=True)

    @classmethod
    def attach(cls, fd: int, n_bytes: int) -> Self:
        """Map a block that somebody else created, read-only; the descriptor becomes ours."""
        return cls(fd, n_bytes, writable=False)

    @property
    def fd(self) -> int:
        """The descriptor to hand on.

        Raises:
            ValueError: The block is closed.
        """
        if self._fd < 0:
            raise ValueError("this shared block is closed")
        return self._fd

    def array(
        self, dtype: DTypeLike, *, offset: int = 0, count: int | None = None
    ) -> np.ndarray[Any, Any]:
        """View a part of the block as an array; no copy is made.

        Args:
            dtype: Type of the values.
            offset: Where the array starts, in bytes, a multiple of 64.
            count: Number of values; None takes all that fit.

        Raises:
            ValueError: `offset` is not aligned, the array does not fit, or the block is closed.
        """
        size = np.dtype(dtype).itemsize
        count = (self.n_bytes - offset) // size if count is None else count
        if offset % ALIGNMENT or offset < 0:
            raise ValueError(f"an array starts on {ALIGNMENT} bytes, got offset {offset}")
        if offset + count * size > self.n_bytes:
            raise ValueError(
                f"{count} × {size} bytes from {offset} do not fit into {self.n_bytes} bytes"
            )
        if self._map is None:
            raise ValueError("this shared block is closed")
        return np.frombuffer(self._map, dtype, count, offset)

    def close(self) -> None:
        """Let go of the block; arrays that were taken from it stay valid."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        # Not `mmap.close`, which refuses while arrays are alive: the last of them unmaps.
        self._map = None

    def __del__(self) -> None:
        """Give the descriptor back."""
        if getattr(self, "_fd", -1) >= 0:
            self.close()


def padded(offset: int) -> int:
    """Round an offset in bytes up to where the next array may start.

    Examples:
        >>> padded(1), padded(64)
        (64, 64)
    """
    return -(-offset // ALIGNMENT) * ALIGNMENT
