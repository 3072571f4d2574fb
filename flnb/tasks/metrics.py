"""Metrics by name: `metric(outputs, targets)` gives one value an example.

One value an example, and not a mean, is what lets a metric add up over blocks, clients and
workers: sums and counts travel (`flnb.core.MetricSum`), the mean is taken once, at the end. A
metric of your own is any such callable.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from torch import Tensor

from flnb.core.errors import TaskError, did_you_mean

Metric = Callable[[Tensor, Tensor], Tensor]
"""Outputs of the module and targets to a tensor of one value an example."""


def accuracy(outputs: Tensor, targets: Tensor) -> Tensor:
    """Share of places that are right: 0 or 1, or in between for a sequence.

    Outputs are logits [n, classes, …] against class numbers [n, …], or one logit an example
    against 0 and 1.
    """
    if outputs.ndim == 1 or outputs.shape[1] == 1:
        return ((outputs > 0).flatten() == (targets > 0).flatten()).float()
    guesses = outputs.argmax(1)
    return _an_example((guesses == targets.view_as(guesses)).float())


def squared_error(outputs: Tensor, targets: Tensor) -> Tensor:
    """(output − target)², the mean of it where an example has several."""
    return _an_example((outputs - targets.view_as(outputs)).square())


def absolute_error(outputs: Tensor, targets: Tensor) -> Tensor:
    """|output − target|, the mean of it where an example has several."""
    return _an_example((outputs - targets.view_as(outputs)).abs())


METRICS: Mapping[str, Metric] = MappingProxyType(
    {
        "accuracy": accuracy,
        "squared_error": squared_error,
        "absolute_error": absolute_error,
    }
)


def one_an_example(name: str, given: Any, n: int) -> Tensor:
    """Pass on what a metric gave for `n` examples.

    Raises:
        TaskError: It is not one value an example.
    """
    if not isinstance(given, Tensor) or given.shape != (n,):
        found = f"shape {tuple(given.shape)}" if isinstance(given, Tensor) else type(given).__name__
        raise TaskError(
            f"metric {name!r} gave {found} for {n} examples, expected a tensor of shape ({n},)",
            hint="return one value an example, and not their mean",
        )
    return given


def find_metric(metric: str | Metric) -> Metric:
    """Look a metric up by name; a callable is taken as it is.

    Raises:
        TaskError: No metric of that name, or something that cannot be called.
    """
    if callable(metric):
        return metric
    if metric not in METRICS:
        raise TaskError(
            f"there is no metric {metric!r}",
            hint=f"{did_you_mean(str(metric), METRICS)} "
            "(or any callable(outputs, targets) -> one value an example)",
        )
    return METRICS[metric]


def _an_example(values: Tensor) -> Tensor:
    return values.flatten(1).mean(1) if values.ndim > 1 else values
