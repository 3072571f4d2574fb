"""Memory of large vectors that is used again once nobody sees it any more.

The kernel clears every page that it hands out. In a round of a model of 64 MB that was 256 MB, and
40 % to 60 % of the time of the thread that adds up: more than all its arithmetic.

The largest come in pages of 4 KiB, though NumPy would ask for pages of 2 MiB. Those are made of memory
that nobody has used for long, and a virtual machine has given that back to its host: four gigabytes
took 7 to 10 s of processor time, in small pages 2 to 3 s, and 1.2 to 1.8 s with `hand_out`.
"""

from __future__ import annotations

import ctypes
import mmap
import weakref
from collections import deque

import numpy as np
from jaxtyping import Shaped, UInt8
from numpy.typing import DTypeLike

from flnb.tensors.arrays import ALIGNMENT_BYTES

LARGE_BYTES = 4 * 1024 * 1024
"""What is smaller, the allocator keeps by itself."""
_KEPT = 4
_HUGE_BYTES = 256 * 1024 * 1024
"""What is smaller is made often: the allocator has some of it at hand, and sums over large pages are quicker."""
_PRIVATE = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
_POPULATE_WRITE = 23
"""`MADV_POPULATE_WRITE` of Linux since 5.14: hand out pages as if each was written to."""
_advise = getattr(ctypes.CDLL(None), "madvise", None)

_free: deque[UInt8[np.ndarray, " n"]] = deque(maxlen=_KEPT)
"""Blocks that nobody sees, those freed longest ago first. No lock: a block is freed wherever its
last window is, also within the few steps that look for one, and what a deque does is one step."""


def unfilled(n: int, dtype: DTypeLike) -> Shaped[np.ndarray, " n"]:
    """Make a vector of `n` values whose memory starts on 64 bytes; every one is to be written.

    A block is used again when no array and no memoryview of it is left, so it is as safe as fresh
    memory.
    """
    dtype = np.dtype(dtype)
    memory = _window(n * dtype.itemsize + ALIGNMENT_BYTES)
    start = -memory.ctypes.data % ALIGNMENT_BYTES
    return memory[start:][: n * dtype.itemsize].view(dtype)


def hand_out(array: np.ndarray) -> None:
    """Have the pages below an array in one piece handed out at once, rather than one at each first write.

    Nothing changes for pages that are there, nor where the kernel cannot do it. Other threads go on.
    """
    page = mmap.PAGESIZE
    start = -(-array.ctypes.data // page) * page
    n_bytes = (array.ctypes.data + array.nbytes - start) // page * page
    if n_bytes > 0 and _advise is not None:
        _advise(ctypes.c_void_p(start), ctypes.c_size_t(n_bytes), _POPULATE_WRITE)


def keep_freed_memory(block_bytes: int) -> None:
    """Let glibc use the memory of blocks up to a size again, rather than give each back to the kernel.

    A block that it got from the kernel for itself alone, and that is freed, it takes for a size that is
    asked for often: from then on it keeps up to twice as much of each heap, and no more (mallopt(3), "dynamic
    mmap threshold"; no further than 32 MiB). That is so in the whole process, and for good. Saying it again takes the time to clear
    as much. Nothing changes where another allocator is used, or one that was told what to do.
    """
    bytes(block_bytes)


def release_unused() -> None:
    """Give back what is kept for vectors to come."""
    _free.clear()


def _window(n_bytes: int) -> UInt8[np.ndarray, " n"]:
    if n_bytes < LARGE_BYTES:
        return np.empty(n_bytes, np.uint8)
    block = _found(n_bytes)
    if block is None:
        block = np.empty(n_bytes, np.uint8) if n_bytes < _HUGE_BYTES else _in_small_pages(n_bytes)
    # Through a memoryview: a slice of a slice holds on to the array below them all that is not
    # itself a slice, and that must be this window, or nobody would know when it is gone.
    window = np.frombuffer(block.data, np.uint8)
    weakref.finalize(window, _free.append, block).atexit = False
    return window


def _in_small_pages(n_bytes: int) -> UInt8[np.ndarray, " n"]:
    try:
        return np.frombuffer(mmap.mmap(-1, n_bytes, _PRIVATE), np.uint8)
    except OSError as error:  # as NumPy says it
        raise MemoryError(f"no memory for a vector of {n_bytes / 1e6:,.0f} MB") from error


def _found(n_bytes: int) -> UInt8[np.ndarray, " n"] | None:
    for _ in range(_KEPT):
        try:
            block = _free.popleft()
        except IndexError:
            break
        if block.size == n_bytes:
            return block
        _free.append(block)
    return None
