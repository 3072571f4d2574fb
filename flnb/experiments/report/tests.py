"""Means over seeds, and which of two levels is better: the paired test of the reports.

Wilcoxon, "Individual comparisons by ranking methods", Biometrics Bulletin 1 (6), 1945; several comparisons by
Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 6, 1979.
Exact for small samples (scipy). With fewer than six pairs no outcome of the test could be below 5 %, so that the
differences themselves are told and nothing is tested.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from statistics import fmean, stdev
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

LEAST_PAIRS = 6
_MOST_COMPARISONS = 10
"""Of all levels with each other; of more levels, each is compared with the best."""


@dataclass(frozen=True, slots=True)
class Spread:
    """A sample: how many values, their mean, their standard deviation (NaN of one value)."""

    n: int
    mean: float
    sd: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two levels of a parameter, paired by all that is else the same."""

    first: str
    second: str
    differences: tuple[float, ...]
    """First minus second, a pair each."""
    p: float = math.nan
    """Of no difference, two-sided; NaN where nothing was tested."""

    @property
    def spread(self) -> Spread:
        """Of the differences."""
        return spread(self.differences)


def spread(values: Iterable[float]) -> Spread:
    """Describe a sample; what is not finite is left out.

    Examples:
        >>> spread([1.0, 3.0, float("nan")])
        Spread(n=2, mean=2.0, sd=1.4142135623730951)
    """
    finite = [float(value) for value in values if math.isfinite(value)]
    mean = fmean(finite) if finite else math.nan
    return Spread(len(finite), mean, stdev(finite) if len(finite) > 1 else math.nan)


def signed_rank(differences: Sequence[float]) -> float:
    """How likely differences as far from zero would be if there were none, two-sided.

    Args:
        differences: One a pair.

    Returns:
        NaN with fewer than six pairs.

    Examples:
        >>> signed_rank([0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
        0.03125
    """
    if len(differences) < LEAST_PAIRS:
        return math.nan
    if not any(differences):
        return 1.0
    from scipy.stats import wilcoxon  # takes the better part of a second

    return float(wilcoxon(differences).pvalue)


def comparisons(values: pd.DataFrame, *, lower_is_better: bool) -> list[Comparison]:
    """Compare the levels of a parameter with each other; of many, each with the best one.

    Args:
        values: A row a block (what is else the same), a column a level; NaN where a cell is missing.
        lower_is_better: Which way is better, so that the better level comes first.

    Returns:
        Those with a pair at least; their p are adjusted by Holm's method.
    """
    best_first = values.mean().sort_values(ascending=lower_is_better, kind="stable")
    levels = [str(level) for level in best_first.index if not math.isnan(best_first[level])]
    pairs = list(combinations(levels, 2))
    if len(pairs) > _MOST_COMPARISONS:
        pairs = [(levels[0], other) for other in levels[1:]]
    found = []
    for first, second in pairs:
        differences = tuple(map(float, (values[first] - values[second]).dropna()))
        if differences:
            found.append(Comparison(first, second, differences, signed_rank(differences)))
    adjusted = holm([one.p for one in found])
    return [replace(one, p=p) for one, p in zip(found, adjusted, strict=True)]


def holm(ps: Sequence[float]) -> list[float]:
    """Adjust p-values for their number; those that are NaN were no tests.

    Examples:
        >>> holm([0.04, float("nan"), 0.01])
        [0.04, nan, 0.02]
    """
    tested = sorted((p, index) for index, p in enumerate(ps) if not math.isnan(p))
    adjusted, least = list(ps), 0.0
    for rank, (p, index) in enumerate(tested):
        least = adjusted[index] = min(1.0, max(least, p * (len(tested) - rank)))
    return adjusted
