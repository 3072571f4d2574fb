"""Which way of a metric is better, by its name, and its best value."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

_LOWER = {"loss", "error", "perplexity", "mse", "rmse", "mae", "brier", "nll", "epsilon"}


def lower_is_better(metric: str) -> bool:
    """Whether a smaller value is a better one, by the words of its name.

    Examples:
        >>> lower_is_better("loss"), lower_is_better("test_error"), lower_is_better("accuracy")
        (True, True, False)
        >>> lower_is_better("mse_cleveland")  # measured on a part
        True
    """
    return not _LOWER.isdisjoint(metric.lower().split("_"))


def best_of(curve: pd.Series[float], metric: str) -> tuple[float, int]:
    """The best value of a curve, and the first round in which it was reached.

    Of a curve without a number (a run whose loss was never finite) it is NaN, in the first round.
    """
    if curve.isna().all():
        return math.nan, int(curve.index[0])
    at = int(curve.argmin() if lower_is_better(metric) else curve.argmax())
    return float(curve.iloc[at]), int(curve.index[at])
