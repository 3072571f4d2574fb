# ruff: noqa: D102  the names of the tests are their sentences
"""What every linear aggregation rule must do, as a suite to inherit.

class TestMyRule(RuleSuite):
    @pytest.fixture
    def rule(self):
        return MyRule()
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from flnb.core.ports import Rule
from flnb.tensors import CohortSum, Layout, Update, aligned

SAMPLE_LAYOUT = Layout.of(
    [
        ("dense.weight", (7, 5), "float32", "parameter"),
        ("dense.bias", (7,), "float32", "parameter"),
        ("half.weight", (3, 3), "bfloat16", "parameter"),
        ("small.weight", (4,), "float16", "parameter"),
        ("norm.running_mean", (7,), "float32", "buffer"),
        ("norm.num_batches_tracked", (), "int64", "buffer"),
    ]
)
"""A small model with everything in it: half precision, floating buffers, a counter."""


def sample_updates(n: int, *, seed: int = 0, scale: float = 0.1) -> list[Update]:
    """Make `n` updates of `SAMPLE_LAYOUT` whose sizes differ by powers of ten; padding is zero."""
    random = np.random.Generator(np.random.Philox(seed))
    updates = []
    for index in range(n):
        values = aligned(SAMPLE_LAYOUT.n_values, np.float32)
        integers = aligned(SAMPLE_LAYOUT.n_integers, np.int64)
        for slot in SAMPLE_LAYOUT.slots:
            if slot.floating:
                size = scale * 10.0 ** (index % 4 - 3)
                values[slot.span] = random.normal(scale=size, size=slot.size)
            else:
                integers[slot.span] = random.integers(0, 100, slot.size)
        updates.append(Update(SAMPLE_LAYOUT, values, integers))
    return updates


def summed(updates: Sequence[Update], rule: Rule, n_workers: int = 1) -> CohortSum:
    """Add updates as `n_workers` would, each weighted as the rule asks for."""
    parts = [CohortSum(SAMPLE_LAYOUT) for _ in range(n_workers)]
    for index, update in enumerate(updates):
        weight = int(update.values.view(np.uint32).sum()) % 50 + 1  # by content, so order is free
        parts[index % n_workers].fold(update, weight if rule.weighting == "examples" else 1)
    total = CohortSum(SAMPLE_LAYOUT)
    for part in parts:
        total.merge(part)
    return total


def same_bits(one: Update, other: Update) -> bool:
    """Whether two updates are equal to the last bit."""
    return (
        one.values.tobytes() == other.values.tobytes()
        and one.integers.tobytes() == other.integers.tobytes()
    )


class RuleSuite:
    """Inherit and supply the fixture `rule`."""

    @pytest.fixture
    def rule(self) -> Rule:
        """The rule under test."""
        raise NotImplementedError("a RuleSuite needs a fixture named `rule`")

    def test_weighting_is_one_that_engines_know(self, rule: Rule) -> None:
        assert rule.weighting in {"examples", "equal"}

    def test_one_update_comes_out_as_it_went_in(self, rule: Rule) -> None:
        (update,) = sample_updates(1)
        result = rule.combine(summed([update], rule))
        np.testing.assert_allclose(result.values, update.values, rtol=1e-6, atol=1e-12)
        assert result.integers.tobytes() == update.integers.tobytes()

    def test_result_lies_between_the_clients_values(self, rule: Rule) -> None:
        updates = sample_updates(9)
        stacked = np.stack([update.values for update in updates])
        result = rule.combine(summed(updates, rule)).values
        assert np.all(result <= stacked.max(0) + 1e-9)
        assert np.all(result >= stacked.min(0) - 1e-9)

    @pytest.mark.parametrize("n_workers", [1, 2, 7])
    def test_order_and_number_of_workers_do_not_change_a_bit(
        self, rule: Rule, n_workers: int
    ) -> None:
        updates = sample_updates(20)
        expected = rule.combine(summed(updates, rule))
        for seed in range(3):
            order = np.random.Generator(np.random.Philox(seed)).permutation(len(updates))
            shuffled = [updates[index] for index in order]
            assert same_bits(rule.combine(summed(shuffled, rule, n_workers)), expected)

    def test_combining_twice_gives_the_same(self, rule: Rule) -> None:
        sums = summed(sample_updates(5), rule)
        assert same_bits(rule.combine(sums), rule.combine(sums))

    def test_zero_updates_combine_to_zero(self, rule: Rule) -> None:
        zero = Update(
            SAMPLE_LAYOUT,
            aligned(SAMPLE_LAYOUT.n_values, np.float32),
            aligned(SAMPLE_LAYOUT.n_integers, np.int64),
        )
        assert same_bits(rule.combine(summed([zero, zero], rule)), zero)

    def test_layout_and_padding_stay(self, rule: Rule) -> None:
        result = rule.combine(summed(sample_updates(5), rule))
        assert result.layout == SAMPLE_LAYOUT
        assert not result.values[padding(SAMPLE_LAYOUT)].any()
        assert result.check(SAMPLE_LAYOUT) == ""


def padding(layout: Layout) -> np.ndarray:
    """Mark the places of `values` that belong to no tensor."""
    free = np.ones(layout.n_values, bool)
    for slot in layout.slots:
        if slot.floating:
            free[slot.span] = False
    return free
