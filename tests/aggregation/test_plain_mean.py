"""Mean of the updates, every client counting once."""

import numpy as np
import pytest

from flnb.aggregation import PlainMean
from flnb.testing.rules import RuleSuite, sample_updates, summed


class TestPlainMean(RuleSuite):
    @pytest.fixture
    def rule(self):
        return PlainMean()


def test_every_client_counts_once():
    updates = sample_updates(5)
    expected = np.mean([update.values.astype(np.float64) for update in updates], axis=0)
    result = PlainMean().combine(summed(updates, PlainMean()))
    np.testing.assert_allclose(result.values, expected, rtol=1e-6, atol=1e-12)


def test_engines_weigh_all_alike():
    assert PlainMean().weighting == "equal"
