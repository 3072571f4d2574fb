"""Sums that do not depend on the order of their terms."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flnb.core.errors import IntegrityError
from flnb.tensors import BLOCK_VALUES, ExactSum, l2_norm
from flnb.tensors.exact import _quantum

FINITE = st.floats(width=32, min_value=-(2.0**30), max_value=2.0**30)
WEIGHTS = st.integers(1, 10_000)
N = 5
TERMS = st.lists(
    st.tuples(st.lists(FINITE, min_size=N, max_size=N), WEIGHTS), min_size=1, max_size=12
)


def added(terms, n=N):
    total = ExactSum(n)
    for x, weight in terms:
        total.add(np.array(x, np.float32), float(weight))
    return total


@given(TERMS, st.randoms(use_true_random=False), st.sampled_from([1, 2, 7]))
def test_any_order_and_any_split_give_the_same_bits(terms, random, n_parts):
    expected = added(terms).divided_by(3.0).tobytes()
    shuffled = random.sample(terms, len(terms))
    parts = [added(shuffled[part::n_parts]) for part in range(n_parts)]
    random.shuffle(parts)
    total = ExactSum(N)
    for part in parts:
        total.merge(part)
    assert total.divided_by(3.0).tobytes() == expected


@given(TERMS)
def test_error_stays_below_the_stated_bound(terms):
    result = added(terms).divided_by(1.0)
    bound = sum(_stated(max(map(abs, x)) * weight) for x, weight in terms)
    for place in range(N):
        exact = sum(Fraction(x[place]) * weight for x, weight in terms)
        # The float64 additions and the one rounding to float32 come on top of the quanta.
        rounding = Fraction(2) ** -24 * (abs(exact) + bound) + Fraction(2) ** -149
        magnitudes = sum(abs(Fraction(x[place])) * weight for x, weight in terms)
        assert abs(Fraction(float(result[place])) - exact) <= (
            bound + rounding + magnitudes * Fraction(2) ** -48
        )


def _stated(magnitude):
    if not magnitude:
        return Fraction(0)
    bucket = max(math.floor(math.log2(magnitude)) // 8, -6)
    return Fraction(_quantum(bucket)) * (Fraction(1, 2) + Fraction(1, 2**9))


def test_a_long_sum_agrees_with_fsum_to_the_last_float32_bit():
    random = np.random.Generator(np.random.Philox(1))
    xs = [random.normal(size=70_000).astype(np.float32) for _ in range(20)]
    result = added([(x, 1) for x in xs], 70_000).divided_by(20.0)
    columns = np.stack(xs).astype(np.float64).T
    exact = np.array([math.fsum(column) / 20.0 for column in columns])
    # A quantum of 2^-36 a term can move a value over at most one rounding boundary.
    assert np.all(np.abs(result - exact) <= np.spacing(np.abs(exact).astype(np.float32)) + 2.0**-36)
    assert np.mean(result == exact.astype(np.float32)) > 0.999


def test_huge_and_tiny_updates_do_not_swallow_each_other():
    terms = [([2.0**40], 1), ([2.0**-40], 1), ([-(2.0**40)], 1), ([3 * 2.0**-60], 1)]
    for order in (terms, terms[::-1]):
        assert added(order, 1).divided_by(1.0)[0] == np.float32(2.0**-40 + 3 * 2.0**-60)


def test_values_below_the_lowest_bucket_are_kept_to_its_quantum():
    assert added([([2.0**-70], 1)] * 3, 1).divided_by(3.0)[0] == np.float32(2.0**-70)
    assert added([([2.0**-100], 1)], 1).divided_by(1.0)[0] == 0.0


@given(st.integers(-400, 380))
def test_every_power_of_two_in_range_comes_out_exactly(eighths):
    value = np.float32(2.0 ** (eighths / 8))
    assert added([([value], 1)], 1).divided_by(1.0)[0] == pytest.approx(value, rel=2.0**-24)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_refused_and_leaves_the_sum_alone(bad):
    total = added([([1.0, 2.0], 1)], 2)
    with pytest.raises(IntegrityError, match="not finite"):
        total.add(np.array([1.0, bad], np.float32), 1.0)
    assert total.divided_by(1.0).tolist() == [1.0, 2.0]


def test_out_of_range_is_refused_with_the_numbers():
    total = ExactSum(1)
    total.add(np.array([np.nextafter(np.float32(2.0**48), np.float32(0))]), 1.0)
    with pytest.raises(IntegrityError, match=r"5\.629e\+14.*limit 2\.815e\+14"):
        total.add(np.array([-(2.0**48)], np.float32), 2.0)


def test_a_full_limb_holds_and_one_more_is_refused():
    # 2^18 times the largest value of a bucket is the worst case for an int64 limb.
    largest = np.nextafter(np.float32(256.0), np.float32(0))
    total = added([([largest], 1)], 1)
    for _ in range(18):
        total.merge(total)
    assert total.divided_by(2.0**18)[0] == largest
    with pytest.raises(IntegrityError, match="262144"):
        total.add(np.array([1.0], np.float32), 1.0)
    with pytest.raises(IntegrityError, match="262145"):
        total.merge(added([([1.0], 1)], 1))


def test_merging_copies_so_that_the_parts_stay_apart():
    part, total = added([([1.0], 1)], 1), ExactSum(1)
    total.merge(part)
    total.add(np.array([1.0], np.float32), 1.0)
    assert part.divided_by(1.0)[0] == 1.0


@pytest.mark.parametrize("n", [1, 7, BLOCK_VALUES + 3, 3 * BLOCK_VALUES])
def test_what_is_measured_on_the_way_is_the_norm_and_the_sum_is_the_same(n):
    x = np.random.default_rng(n).standard_normal(n, np.float32)
    sums, others = ExactSum(n), ExactSum(n)
    assert all(math.isnan(sums.add(x, 3)) for _ in range(2))
    assert [others.add(x, 3, measure=True) for _ in range(2)] == [l2_norm(x)] * 2
    assert np.array_equal(sums.divided_by(6.0), others.divided_by(6.0))
    assert others.add(np.zeros(n, np.float32), 3, measure=True) == 0.0


def test_the_sum_of_nothing_is_zero():
    assert ExactSum(3).divided_by(1.0).tolist() == [0.0, 0.0, 0.0]
    assert added([([0.0, -0.0, 0.0], 5)], 3).divided_by(1.0).tobytes() == bytes(12)
