"""Memory of large vectors that is used again once nobody sees it any more.

The kernel clears every page that it hands out. In a round of a model of 64 MB that was 256 MB, and
40 % to 60 % of the time of the thread that adds up: more than all its arithmetic.
"""

from __future__ import annotations

import weakref
from collections import deque

import numpy as np
from jaxtyping import Shaped, UInt8
from numpy.typing import DTypeLike

from flnb.tensors.arrays import ALIGNMENT_BYTES

LARGE_BYTES = 4 * 1024 * 1024
"""What is smaller, the allocator keeps by itself."""
_KEPT = 4

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


def release_unused() -> None:
    """Give back what is kept for vectors to come."""
    _free.clear()


def _window(n_bytes: int) -> UInt8[np.ndarray, " n"]:
    if n_bytes < LARGE_BYTES:
        return np.empty(n_bytes, np.uint8)
    block = _found(n_bytes)
    if block is None:
        block = np.empty(n_bytes, np.uint8)
    # Through a memoryview: a slice of a slice holds on to the array below them all that is not
    # itself a slice, and that must be this window, or nobody would know when it is gone.
    window = np.frombuffer(block.data, np.uint8)
    weakref.finalize(window, _free.append, block).atexit = False
    return window


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
