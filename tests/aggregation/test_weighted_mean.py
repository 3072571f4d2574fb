"""Mean of the updates, weighted by examples."""

import numpy as np
import pytest

from flnb.aggregation import WeightedMean
from flnb.tensors import CohortSum
from flnb.testing.rules import SAMPLE_LAYOUT, RuleSuite, sample_updates


class TestWeightedMean(RuleSuite):
    @pytest.fixture
    def rule(self):
        return WeightedMean()


def test_a_client_counts_as_often_as_it_has_examples():
    small, large = sample_updates(2)
    sums = CohortSum(SAMPLE_LAYOUT)
    sums.fold(small, 1)
    sums.fold(large, 3)
    expected = (small.values.astype(np.float64) + 3 * large.values.astype(np.float64)) / 4
    np.testing.assert_allclose(WeightedMean().combine(sums).values, expected, rtol=1e-6, atol=1e-12)


def test_engines_weigh_by_examples():
    assert WeightedMean().weighting == "examples"
