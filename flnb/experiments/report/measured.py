"""Which way of a metric is better, by its name, and its best value."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

_LOWER = (
    *("loss", "error", "perplexity", "mse", "rmse", "mae", "brier", "nll", "epsilon", "wer"),
    *("cross_entropy", "bytes_up"),  # one of their words alone says nothing
)


def lower_is_better(metric: str) -> bool:
    """Whether a smaller value is a better one, by the words of its name.

    Examples:
        >>> lower_is_better("loss"), lower_is_better("test_error"), lower_is_better("accuracy")
        (True, True, False)
        >>> lower_is_better("mse_cleveland")  # measured on a part
        True
        >>> lower_is_better("cross_entropy"), lower_is_better("entropy")
        (True, False)
    """
    return any(f"_{words}_" in f"_{metric.lower()}_" for words in _LOWER)


def lower_by_its_end(metric: str) -> bool:
    """Whether a name ends with words of which a smaller value is a better one.

    Examples:
        >>> lower_by_its_end("test_loss"), lower_by_its_end("loss_scale")
        (True, False)
    """
    return any(f"_{metric.lower()}".endswith(f"_{words}") for words in _LOWER)


def best_of(curve: pd.Series[float], metric: str) -> tuple[float, int]:
    """The best value of a curve, and the first round in which it was reached.

    Of a curve without a number (a run whose loss was never finite) it is NaN, in the first round.
    """
    if curve.isna().all():
        return math.nan, int(curve.index[0])
    at = int(curve.argmin() if lower_is_better(metric) else curve.argmax())
    return float(curve.iloc[at]), int(curve.index[at])
