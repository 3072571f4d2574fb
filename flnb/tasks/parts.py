"""What people pass to a Task, checked and put into one form."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

from flnb.core.errors import TaskError
from flnb.datasets import FederatedData, Partitioner, Split, own, read_partitioner
from flnb.tasks.examples import as_arrays
from flnb.tasks.metrics import Metric, find_metric


def check_model(model: Any) -> None:
    """Refuse what cannot make a module.

    Raises:
        TaskError: A module that is already made, or something that cannot be called.
    """
    if isinstance(model, nn.Module):
        kind = type(model).__name__
        raise TaskError(
            f"model is a {kind} that is already made",
            hint=f"pass what makes it, model={kind} or model=lambda: {kind}(...): every process "
            "makes its own",
        )
    if not callable(model):
        raise TaskError(f"model is {type(model).__name__}, expected a class or a function")


def named_metrics(metrics: Sequence[str | Metric]) -> dict[str, str | Metric]:
    """Name metrics: by their own name, or by the name of the function.

    Raises:
        TaskError: A metric does not exist, or two have one name.
    """
    given = (metrics,) if isinstance(metrics, str) or callable(metrics) else metrics
    named: dict[str, str | Metric] = {}
    for metric in given:
        find_metric(metric)
        name = metric if isinstance(metric, str) else getattr(metric, "__name__", "metric")
        if name in named or name == "loss":
            raise TaskError(
                f"two metrics are called {name!r}",
                hint="give the function another name; the loss is measured in any case",
            )
        named[name] = metric
    return named


def federated(
    data: FederatedData | None,
    train: Any,
    test: Any,
    split: Partitioner | Split | Mapping[str, Any] | str | None,
    name: str | None,
) -> FederatedData:
    """Put examples and split together.

    Raises:
        TaskError: Both or neither of `data` and `train`, or examples that cannot be read.
        DataError: Lengths differ, no split is given, or it does not fit.
    """
    if (data is None) == (train is None):
        raise TaskError("a Task needs either data or train, and not both")
    if data is not None and test is not None:
        raise TaskError("test goes with train; data brings its own held-out part")
    if split is not None and not isinstance(split, Split):
        split = read_partitioner(dict(split) if isinstance(split, Mapping) else split)
    if data is None:
        arrays = as_arrays(train, "train")
        held_out = as_arrays(test, "test") if test is not None else None
        pair = (held_out.x, held_out.y) if held_out is not None else None
        return own(arrays.x, arrays.y, split=split, test=pair, name=name or "task")
    if split is None:
        return data
    found = split if isinstance(split, Split) else split.split(data.train.y)
    return dataclasses.replace(data, split=found)
