"""Metrics by name: `metric(outputs, targets)` gives one value an example, or a sum and a count.

One value an example, and not a mean, is what lets a metric add up over blocks, clients and
workers: sums and counts travel (`flnb.core.MetricSum`), the mean is taken once, at the end. A
metric that counts something else than examples, as `auc` counts pairs, gives its `MetricSum` itself.
A metric of your own is any such callable.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor

from flnb.core import MetricSum
from flnb.core.errors import TaskError, did_you_mean

Metric = Callable[[Tensor, Tensor], Tensor | MetricSum]
"""Outputs of the module and targets to a tensor of one value an example, or to a sum and a count."""


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


def auc(outputs: Tensor, targets: Tensor) -> MetricSum:
    """Area under the ROC curve: the share of pairs of an ill and a healthy one that are in order.

    Hanley, McNeil. "The Meaning and Use of the Area under a ROC Curve", Radiology 143 (1982). A pair
    of equal outputs counts half. What is counted are pairs, so it adds up over blocks: only examples that
    are measured together are compared (of held-out ones, up to 200 in their order). Costs O(n²).

    Args:
        outputs: Logits [n, 2], or one logit an example.
        targets: 1 for what should have the greater output, else 0.

    Returns:
        Pairs in order, and all pairs; none where one of the classes is missing.

    Raises:
        TaskError: Outputs of more than two classes.

    Examples:
        >>> import torch
        >>> auc(torch.tensor([0.1, 0.4, 0.35, 0.8]), torch.tensor([0, 0, 1, 1])).value
        0.75
    """
    logits = outputs.flatten(1) if outputs.ndim > 1 else outputs[:, None]
    if logits.shape[1] > 2:
        raise TaskError(f"auc is for two classes, the model has {logits.shape[1]} outputs")
    scores = logits[:, -1] - logits[:, 0] if logits.shape[1] == 2 else logits[:, 0]
    is_above = targets.flatten() > 0
    margins = (scores[is_above][:, None] - scores[~is_above][None, :]).double()
    # Torch gives NaN the sign 0, which would make a diverged model as good as chance.
    signs = torch.where(margins.isnan(), margins, margins.sign())
    return MetricSum(float((signs + 1).sum() / 2), margins.numel())


METRICS: Mapping[str, Metric] = MappingProxyType(
    {
        "accuracy": accuracy,
        "squared_error": squared_error,
        "absolute_error": absolute_error,
        "auc": auc,
    }
)


def summed(name: str, given: Any, n: int) -> MetricSum:
    """Add up what a metric gave for `n` examples.

    Raises:
        TaskError: It is neither one value an example nor a sum and a count.
    """
    if isinstance(given, MetricSum):
        return given
    if not isinstance(given, Tensor) or given.shape != (n,):
        found = f"shape {tuple(given.shape)}" if isinstance(given, Tensor) else type(given).__name__
        raise TaskError(
            f"metric {name!r} gave {found} for {n} examples, expected a tensor of shape ({n},)",
            hint="return one value an example, and not their mean, or a MetricSum",
        )
    return MetricSum(float(given.sum(dtype=torch.float64)), n)


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
