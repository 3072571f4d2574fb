"""Many updates become one: linear rules.

Here are the rules that need only a weighted sum, so they stream in memory of one model. Adding up
is not here (`tensors.CohortSum` does it exactly), nor is what the server does with the result
(`strategies/server`). Read `weighted_mean.py` first.
"""

from flnb.aggregation.plain_mean import PlainMean
from flnb.aggregation.weighted_mean import WeightedMean

__all__ = [
    "PlainMean",
    "WeightedMean",
]
