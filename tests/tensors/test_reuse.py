"""Memory that is used again only when nobody sees it."""

import resource
from collections.abc import Iterator

import numpy as np
import pytest

from flnb.core.errors import IntegrityError
from flnb.tensors import CohortSum, Layout, Update, aligned, hand_out, release_unused, unfilled

N = 2_000_000
LAYOUT = Layout.of([("weight", (N,), "float32", "parameter"), ("seen", (), "int64", "buffer")])


@pytest.fixture(autouse=True)
def nothing_kept() -> Iterator[None]:
    """Begin and end without blocks of others."""
    release_unused()
    yield
    release_unused()


def test_memory_is_used_again_when_the_last_window_of_it_is_gone() -> None:
    first = unfilled(N, np.float32)
    where = first.ctypes.data
    part = first[10:20][2:].view(np.int32)
    raw = part.data
    del first, part
    second = unfilled(N, np.float32)
    assert second.ctypes.data != where, "a memoryview of it is left"
    del raw
    assert unfilled(N, np.float32).ctypes.data == where
    assert where % 64 == 0


def test_memory_of_another_size_is_not_used() -> None:
    first = unfilled(N, np.float32)
    first[:] = 7.0
    del first
    other, again = unfilled(N + 1, np.float32), unfilled(N, np.float32)
    assert other.size == N + 1
    assert again[0] == 7.0, "this one was used again"


def test_pages_that_were_handed_out_cost_nothing_at_the_first_write() -> None:
    memory = unfilled(N, np.float32)
    hand_out(memory)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    memory[::16] = 1.0
    faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
    assert faults < memory.nbytes / resource.getpagesize() / 10


def test_too_large_a_vector_is_lack_of_memory_and_no_trouble_of_a_disk() -> None:
    with pytest.raises(MemoryError, match="no memory for a vector of 1,152,921,504,607 MB"):
        unfilled(1 << 60, np.uint8)


@pytest.mark.parametrize("n", [0, 1, 1500, N])
def test_what_lies_in_memory_that_is_handed_out_stays(n: int) -> None:
    memory = np.arange(n + 3, dtype=np.float32)[3:]
    hand_out(memory)
    assert np.array_equal(memory, np.arange(3, n + 3, dtype=np.float32))


def test_a_sum_over_memory_that_was_used_before_has_the_same_bits() -> None:
    fresh = mean_of(3)
    dirty = unfilled(LAYOUT.n_values, np.int64)
    dirty[:] = -1
    del dirty
    assert mean_of(3) == fresh


@pytest.mark.parametrize("scales", [(1.0,), (1.0, 1.0), (1.0, 1e-5, 1e4)])
def test_the_mean_of_a_sum_that_is_spent_has_the_same_bits(scales: tuple[float, ...]) -> None:
    assert sum_of(scales).spend().mean().values.tobytes() == sum_of(scales).mean().values.tobytes()


def test_a_sum_that_was_spent_has_its_mean_and_nothing_else() -> None:
    spent = sum_of((1.0, 2.0)).spend()
    first = spent.mean()
    assert spent.mean() is first
    with pytest.raises(IntegrityError, match="spent"):
        spent.fold(update(1.0), 1)
    with pytest.raises(IntegrityError, match="spent"):
        sum_of((1.0,)).merge(spent)
    with pytest.raises(IntegrityError, match="spent"):
        spent.to_parts()


def mean_of(n: int) -> bytes:
    """The bits of a mean of some updates."""
    return sum_of((1.0,) * n).mean().values.tobytes()


def sum_of(scales: tuple[float, ...]) -> CohortSum:
    """A sum of updates of about these sizes."""
    sums = CohortSum(LAYOUT)
    for scale in scales:
        sums.fold(update(scale), 3)
    return sums


def update(scale: float) -> Update:
    """An update of about this size."""
    values = aligned(LAYOUT.n_values, np.float32)
    values[:] = np.random.default_rng(0).standard_normal(values.size, np.float32) * scale
    return Update(LAYOUT, values, np.ones(LAYOUT.n_integers, np.int64))
