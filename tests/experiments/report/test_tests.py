"""The paired test: exact where it can be, silent where it can say nothing."""

from itertools import product
from math import isnan, nan

import pandas as pd
import pytest

from flnb.experiments.report.tests import comparisons, holm, signed_rank, spread


def by_counting(differences):
    """Wilcoxon's test by trying all signs."""
    ranks = pd.Series(differences).abs().rank()
    seen = sum(rank for rank, one in zip(ranks, differences, strict=True) if one > 0)
    sums = [
        sum(rank for rank, sign in zip(ranks, signs, strict=True) if sign)
        for signs in product((0, 1), repeat=len(ranks))
    ]
    tail = min(sum(one <= seen for one in sums), sum(one >= seen for one in sums))
    return min(1.0, 2 * tail / len(sums))


@pytest.mark.parametrize("differences", [
    (0.1, 0.2, 0.3, 0.4, 0.5, 0.6), (0.1, -0.2, 0.3, 0.4, -0.5, 0.6, 0.7), (-3, -2, 1, -5, 4, -6, -7, -8),
])  # fmt: skip
def test_p_is_what_counting_all_signs_gives(differences):
    assert signed_rank(differences) == pytest.approx(by_counting(differences))


def test_fewer_than_six_pairs_are_not_tested():
    assert isnan(signed_rank([1.0] * 5))
    assert by_counting([1, 2, 3, 4, 5]) > 0.05


def test_no_difference_at_all_is_certain_and_warns_of_nothing():
    assert signed_rank([0.0] * 8) == 1.0


def test_levels_are_compared_best_first_over_blocks_that_have_both():
    values = pd.DataFrame({"a": [1.0, 2.0, nan], "b": [3.0, 5.0, 4.0], "c": [nan] * 3})
    (found,) = comparisons(values, lower_is_better=False)
    assert (found.first, found.second, found.differences) == ("b", "a", (2.0, 3.0))
    (fallen,) = comparisons(values, lower_is_better=True)
    assert (fallen.first, fallen.second) == ("a", "b")


def test_of_many_levels_each_is_compared_with_the_best():
    values = pd.DataFrame({f"l{level}": [float(level), level + 1.0] for level in range(6)})
    found = comparisons(values, lower_is_better=False)
    assert [one.second for one in found] == ["l4", "l3", "l2", "l1", "l0"]
    assert {one.first for one in found} == {"l5"}


def test_holm_never_turns_an_order_round():
    assert holm([0.01, 0.02, 0.5]) == pytest.approx([0.03, 0.04, 0.5])
    assert holm([0.3, 0.29]) == pytest.approx([0.58, 0.58])


def test_a_spread_leaves_out_what_is_not_finite():
    assert (spread([1.0, nan, 3.0]).n, spread([1.0, nan, 3.0]).mean) == (2, 2.0)
    assert isnan(spread([1.0]).sd)
    assert isnan(spread([]).mean)
