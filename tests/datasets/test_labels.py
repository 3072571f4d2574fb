"""Cutting totals into whole parts, and reading targets as classes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flnb.datasets.labels import apportion, find_labels

weights = st.lists(st.floats(0, 1e6), min_size=1, max_size=40)


@given(weights=weights, total=st.integers(0, 10**6))
def test_apportioned_parts_add_up_and_are_near_their_share(weights, total):
    parts = apportion(np.array([weights]), np.array([total]))[0]
    assert parts.min() >= 0
    if sum(weights) > 0:
        assert parts.sum() == total
        assert np.abs(parts - np.array(weights) / sum(weights) * total).max() <= 1.001
    else:
        assert parts.sum() == 0


@pytest.mark.parametrize(
    "y", [np.array([3, 1, 3]), np.array([True, False, True]), np.array(["b", "a", "b"])]
)
def test_whole_numbers_bools_and_words_are_classes(y):
    labels = find_labels(y)
    assert labels is not None
    assert labels.codes.tolist() == [1, 0, 1]
    assert labels.sizes.tolist() == [1, 2]


@pytest.mark.parametrize("y", [np.array([0.5, 1.0]), np.zeros((2, 2), int), np.arange(1000)])
def test_values_tables_and_a_thousand_different_numbers_are_not_classes(y):
    assert find_labels(y) is None
