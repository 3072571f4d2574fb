"""Plain vectors: memory that starts on 64 bytes, work in blocks that stay in the cache, norms.

Alignment is not only speed: `F.linear` gives other bits for other alignments, so two runs agree
bit for bit only if every tensor starts the same way.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from jaxtyping import Float32, Shaped
from numpy.typing import DTypeLike

ALIGNMENT_BYTES = 64
BLOCK_VALUES = 32_768
"""Values worked on at a time: 256 KiB of float64, which stays in the second-level cache."""


def aligned(n: int, dtype: DTypeLike) -> Shaped[np.ndarray, " n"]:
    """Make a vector of `n` zeros whose memory starts on 64 bytes.

    Examples:
        >>> aligned(3, np.float32)
        array([0., 0., 0.], dtype=float32)
    """
    dtype = np.dtype(dtype)
    memory = np.zeros(n * dtype.itemsize + ALIGNMENT_BYTES, np.uint8)
    start = -memory.ctypes.data % ALIGNMENT_BYTES
    # Cut off the end last: NumPy forgets where a slice starts if it is empty.
    return memory[start:][: n * dtype.itemsize].view(dtype)


def is_aligned(array: np.ndarray) -> bool:
    """Whether the memory of `array` is in one piece and starts on 64 bytes."""
    return array.flags.c_contiguous and array.ctypes.data % ALIGNMENT_BYTES == 0


def frozen(array: np.ndarray) -> np.ndarray:
    """See `array` through a read-only window; copied only if it is not aligned yet."""
    if not is_aligned(array):
        copy = aligned(array.size, array.dtype)
        copy[:] = array
        array = copy
    window = array.view(np.ndarray)
    window.flags.writeable = False
    return window


def blocks(n: int, size: int = BLOCK_VALUES) -> Iterator[slice]:
    """Cut `n` values into consecutive slices of at most `size`."""
    return (slice(start, min(start + size, n)) for start in range(0, n, size))


def largest_magnitude(x: Float32[np.ndarray, " n"]) -> float:
    """Find max|x|: NaN or infinity if there is one in `x`, 0 for no values."""
    # Two reductions propagate NaN and write nothing; np.abs would allocate a copy of x.
    return max(abs(float(x.max())), abs(float(x.min()))) if x.size else 0.0


def l2_norm(x: Float32[np.ndarray, " n"]) -> float:
    """Measure the Euclidean length of `x` in float64.

    The additions do not depend on how many threads the linear algebra library has, so a norm in a
    table is the same from one worker or two.

    Examples:
        >>> l2_norm(np.array([3, 4], np.float32))
        5.0
    """
    wide = np.empty(min(x.size, BLOCK_VALUES))
    squares = []
    for span in blocks(x.size):
        block = wide[: span.stop - span.start]
        np.copyto(block, x[span])
        np.square(block, out=block)
        squares.append(float(block.sum()))
    return math.sqrt(math.fsum(squares))
