"""Aligned memory and norms."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flnb.tensors import aligned, blocks, l2_norm, largest_magnitude
from flnb.tensors.arrays import frozen, is_aligned


@pytest.mark.parametrize("n", [0, 1, 15, 16, 1000, 100_001])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64, np.uint8])
def test_vectors_are_zero_and_start_on_64_bytes(n, dtype):
    vector = aligned(n, dtype)
    assert vector.dtype == dtype
    assert vector.shape == (n,)
    assert vector.ctypes.data % 64 == 0
    assert not vector.any()


def test_memory_that_is_aligned_is_not_copied_and_other_memory_is():
    memory = aligned(65, np.float32)
    assert np.shares_memory(frozen(memory), memory)
    shifted = frozen(memory[1:])
    assert is_aligned(shifted)
    assert not np.shares_memory(shifted, memory)


def test_freezing_leaves_the_owner_able_to_write():
    memory = aligned(16, np.float32)
    with pytest.raises(ValueError, match="read-only"):
        frozen(memory)[0] = 1.0
    memory[0] = 1.0


@given(st.integers(0, 1000), st.integers(1, 300))
def test_blocks_cover_everything_once_and_in_order(n, size):
    covered = [index for span in blocks(n, size) for index in range(span.start, span.stop)]
    assert covered == list(range(n))


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), max_size=50))
def test_norm_agrees_with_an_exact_sum_of_squares(numbers):
    x = np.array(numbers, np.float32)
    assert l2_norm(x) == pytest.approx(
        math.sqrt(math.fsum(v * v for v in map(float, x))), rel=1e-12
    )


def test_norm_of_a_long_vector_of_huge_values_does_not_overflow():
    assert l2_norm(np.full(100_000, 1e38, np.float32)) == pytest.approx(1e38 * math.sqrt(1e5), 1e-6)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_largest_magnitude_shows_what_is_not_finite(bad):
    x = np.ones(100_000, np.float32)
    x[70_001] = bad
    assert not math.isfinite(largest_magnitude(x))
    assert largest_magnitude(np.array([1, -3], np.float32)) == 3.0
    assert largest_magnitude(x[:0]) == 0.0
