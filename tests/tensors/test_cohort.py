"""What is left of a cohort's updates."""

import json
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flnb.core.errors import IntegrityError
from flnb.tensors import CohortSum, Layout, Update, aligned

LAYOUT = Layout.of([("w", (3,), "float32", "parameter"), ("n", (), "int64", "buffer")])
FINITE = st.floats(width=32, min_value=-1e6, max_value=1e6)
WEIGHTS = st.integers(1, 1000) | st.fractions(Fraction(1, 1000), 10, max_denominator=1000)
CLIENTS = st.lists(st.tuples(FINITE, WEIGHTS, st.integers(-5, 5)), min_size=1, max_size=20)


def update(value, counter=0):
    values, integers = aligned(LAYOUT.n_values, np.float32), aligned(LAYOUT.n_integers, np.int64)
    values[:3] = value
    integers[0] = counter
    return Update(LAYOUT, values, integers)


def summed(clients):
    sums = CohortSum(LAYOUT)
    for value, weight, counter in clients:
        sums.fold(update(value, counter), weight)
    return sums


def bits(sums):
    mean = sums.mean()
    return mean.values.tobytes(), mean.integers.tobytes(), sums.count, sums.total_weight


@given(CLIENTS, st.randoms(use_true_random=False), st.sampled_from([1, 2, 7]))
def test_workers_and_order_do_not_change_a_bit(clients, random, n_workers):
    shuffled = random.sample(clients, len(clients))
    total = CohortSum(LAYOUT)
    for worker in range(n_workers):
        total.merge(summed(shuffled[worker::n_workers]))
    assert bits(total) == bits(summed(clients))


@given(CLIENTS)
def test_mean_is_the_exact_weighted_mean(clients):
    mean = summed(clients).mean()
    weight = sum(Fraction(weight) for _, weight, _ in clients)
    exact = sum(Fraction(value) * weight for value, weight, _ in clients) / weight
    largest = max(abs(value) for value, _, _ in clients)
    # float32 rounding of the result, and a quantum of at most 2^-36 of each client's value.
    assert (
        float(abs(Fraction(float(mean.values[0])) - exact))
        <= largest * 2.0**-35 + abs(float(exact)) * 2.0**-24 + 2.0**-80
    )
    assert mean.integers[0] == max(counter for _, _, counter in clients)


def test_a_refused_update_leaves_no_trace():
    sums = summed([(1.0, 2, 3)])
    before = bits(sums)
    refused = [(update(np.nan), 1), (update(1.0), 0), (update(1.0), -1), (update(3e38), 1)]
    refused += [(update(1.0), Fraction(1, 2**60)), (update(1.0, 9), 2**60)]
    for bad, weight in refused:
        with pytest.raises(IntegrityError):
            sums.fold(bad, weight)
    assert bits(sums) == before


def test_an_update_of_another_layout_is_refused_with_both_shapes():
    other = Layout.of([("w", (4,), "float32", "parameter")])
    bad = Update(other, aligned(16, np.float32), aligned(0, np.int64))
    with pytest.raises(IntegrityError, match=r"'w' is float32\[4\].*expected float32\[3\]"):
        CohortSum(LAYOUT).fold(bad, 1)
    with pytest.raises(IntegrityError, match="'w'"):
        CohortSum(LAYOUT).merge(CohortSum(other))


def test_weights_add_up_without_rounding():
    sums = CohortSum(LAYOUT)
    for weight in [np.int64(2**40), Fraction(1, 3), 1]:
        sums.fold(update(1.0), weight)
    assert sums.total_weight == 2**40 + Fraction(4, 3)
    assert isinstance(sums.total_weight.numerator, int)


def test_there_is_no_mean_of_nobody():
    with pytest.raises(IntegrityError, match="no updates"):
        CohortSum(LAYOUT).mean()


def test_the_mean_does_not_change_when_more_is_folded_in():
    sums = summed([(1.0, 1, 1)])
    mean = sums.mean()
    sums.fold(update(5.0, 5), 1)
    assert mean.values[0] == 1.0
    assert mean.integers[0] == 1


@given(CLIENTS)
def test_parts_travel_through_shared_memory(clients):
    sums = summed(clients)
    meta, arrays = sums.to_parts()
    memory = b"".join(array.tobytes() for array in arrays)  # read-only, as a reader sees it
    ends = np.cumsum([array.nbytes for array in arrays]).tolist()
    starts = [0, *ends[:-1]]
    seen = [np.frombuffer(memory[a:b], np.int64) for a, b in zip(starts, ends, strict=True)]
    again = CohortSum.from_parts(LAYOUT, json.loads(json.dumps(meta)), seen)
    total = CohortSum(LAYOUT)
    total.merge(again)
    total.merge(again)
    assert bits(again) == bits(sums)
    assert bits(total)[:2] == bits(sums)[:2]


def test_taking_apart_copies_nothing():
    sums = summed([(1.0, 1, 0), (2.0**20, 1, 0)])
    meta, arrays = sums.to_parts()
    again = CohortSum.from_parts(LAYOUT, meta, arrays).to_parts()[1]
    assert len(arrays) == 3
    assert all(np.shares_memory(one, two) for one, two in zip(arrays, again, strict=True))


def test_parts_that_do_not_fit_are_refused():
    meta, arrays = summed([(1.0, 1, 0)]).to_parts()
    for bad in (arrays[:1], [arrays[0][:8], arrays[1]], [arrays[0].view(float), arrays[1]]):
        with pytest.raises(IntegrityError, match="parts of a sum"):
            CohortSum.from_parts(LAYOUT, meta, bad)
