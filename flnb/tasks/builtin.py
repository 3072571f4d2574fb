"""Ready tasks, each importable by name: digits, MNIST, Shakespeare, four hospitals.

The models and their sizes are those of McMahan et al. 2017 where the paper has them
(`flnb/tasks/models.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from flnb import datasets
from flnb.core.errors import TaskError, did_you_mean
from flnb.datasets import IID, Dirichlet, Partitioner, Split
from flnb.tasks.refs import importable
from flnb.tasks.task import Task

How = Partitioner | Split | Mapping[str, Any] | str
"""How data are spread: a partitioner, a ready split, or a partitioner as a run file writes it."""


@importable(module="flnb.tasks")
def digits(model: str = "softmax", *, clients: int = 20, split: How | None = None) -> Task:
    """scikit-learn's 1,797 digits of 8 × 8, always there and without network.

    Args:
        model: `softmax` (650 parameters) or `mlp` (one hidden layer of 64).
        clients: Over how many clients the digits are spread, by Dirichlet(0.3).
        split: Another split; `clients` is then not looked at.

    Raises:
        TaskError: No model of that name.
    """
    from flnb.tasks import models

    makers = {
        "softmax": partial(models.softmax_regression, 64, 10),
        "mlp": partial(models.perceptron, 64, 10, (64,)),
    }
    return Task(
        model=_pick(model, makers, "digits"),
        data=datasets.load_digits_data(),
        split=split or Dirichlet(alpha=0.3, clients=clients),
        name=f"digits-{model}",
    )


@importable(module="flnb.tasks")
def mnist(
    model: str = "softmax",
    *,
    clients: int = 100,
    split: How | None = None,
    directory: str | None = None,
) -> Task:
    """MNIST: 60,000 digits of 28 × 28 to learn from, 10,000 held out.

    Args:
        model: `softmax` (7,850 parameters), `2nn` (199,210) or `cnn` (1,663,370).
        clients: Over how many clients the digits are spread, independently and identically.
        split: Another split, such as `Shards(clients=100)`; `clients` is then not looked at.
        directory: Folder of the files; by default `mnist` in `FLNB_DATA_DIR`.

    Raises:
        TaskError: No model of that name.
        DataError: The files are not there; the message says how to get them.
    """
    from flnb.tasks import models

    makers = {
        "softmax": partial(models.softmax_regression, 784, 10),
        "2nn": partial(models.perceptron, 784, 10, (200, 200)),
        "cnn": partial(models.convolutional, 28, 10),
    }
    return Task(
        model=_pick(model, makers, "mnist"),
        data=datasets.mnist(directory),
        split=split or IID(clients=clients),
        name=f"mnist-{model}",
    )


@importable(module="flnb.tasks")
def shakespeare(model: str = "lstm", *, stride: int = 10, directory: str | None = None) -> Task:
    """The next character of what a role in Shakespeare's plays says; each role is a client.

    Args:
        model: `lstm`: two layers of 256.
        stride: Characters from one window of 80 to the next.
        directory: Folder of the file; by default `shakespeare` in `FLNB_DATA_DIR`.

    Raises:
        TaskError: No model of that name.
        DataError: The file is not there; the message says how to get it.
    """
    from flnb.tasks import models

    data = datasets.shakespeare(directory, stride=stride)
    makers = {"lstm": partial(models.CharacterModel, len(data.labels))}
    return Task(model=_pick(model, makers, "shakespeare"), data=data, name=f"shakespeare-{model}")


@importable(module="flnb.tasks")
def heart(
    model: str = "softmax", *, split: How | None = None, directory: str | None = None
) -> Task:
    """Heart disease or not, from 13 measurements; each of four hospitals is a client.

    Args:
        model: `softmax` (28 parameters) or `mlp` (one hidden layer of 16).
        split: Another split than by hospital.
        directory: Folder of the files; by default `heart` in `FLNB_DATA_DIR`.

    Raises:
        TaskError: No model of that name.
        DataError: The files are not there; the message says how to get them.
    """
    from flnb.tasks import models

    makers = {
        "softmax": partial(models.softmax_regression, 13, 2),
        "mlp": partial(models.perceptron, 13, 2, (16,)),
    }
    return Task(
        model=_pick(model, makers, "heart"),
        data=datasets.heart(directory),
        split=split,
        name=f"heart-{model}",
    )


def _pick(model: str, makers: Mapping[str, Any], task: str) -> Any:
    if model not in makers:
        raise TaskError(f"{task} has no model {model!r}", hint=did_you_mean(model, makers))
    return makers[model]
