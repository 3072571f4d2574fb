"""Client halves and tasks that only benchmarks need; workers import them by name."""

from __future__ import annotations

import itertools
import time
from dataclasses import replace
from typing import ClassVar

import numpy as np
from torch import nn

from flnb.core import ClientHalf, ClientId, Work
from flnb.core.errors import TaskError
from flnb.core.plan import strategy_registry
from flnb.datasets import Partitioner
from flnb.strategies import Strategy
from flnb.strategies.composition import Averaging
from flnb.strategies.server import SGD
from flnb.tasks import Task
from flnb.tensors import Model, Update, unfilled
from flnb.training import LocalResult, Resident, local_sgd

_NOISE = np.random.default_rng(0).standard_normal(50_021, np.float32)
"""Of a length that no chunk divides, so that no two chunks of an update are alike."""


def idle(resident: Resident, base: Model, work: Work, client: ClientId) -> LocalResult:
    """Take the version on and give it back as it is."""
    resident.load(base)
    n_examples = len(resident.task.split.indices(client))
    return LocalResult(resident.delta(base), n_examples=n_examples, loss=0.0, train_s=0.0)


def timed(resident: Resident, base: Model, work: Work, client: ClientId) -> LocalResult:
    """Train, and report as `loss` the moment at which that began, on the machine's own clock."""
    began_s = time.monotonic()
    return replace(local_sgd(resident, base, work, client), loss=began_s)


def absent(resident: Resident, base: Model, work: Work, client: ClientId) -> LocalResult:
    """Be asked, and have nothing to answer."""
    raise TaskError(f"{client} is absent")


def drift(resident: Resident, base: Model, work: Work, client: ClientId) -> LocalResult:
    """Answer with an update that differs from the last one in every chunk, after one product."""
    layout, n = resident.task.layout, _NOISE.size
    values = unfilled(layout.n_values, np.float32)
    factor = np.float32(1e-3 * (1 + work.round % 97) + 1e-6 * (sum(client.encode()) % 89))
    for start in range(0, values.size, n):
        part = values[start : start + n]
        np.multiply(_NOISE[: part.size], factor, out=part)
    update = Update(layout, values, np.zeros(layout.n_integers, np.int64))
    return LocalResult(update, n_examples=len(resident.task.data.train), loss=0.0, train_s=0.0)


@strategy_registry.register("benchmark-idle")
class Idle(Averaging):
    """Averaging over clients that do not train."""

    kind: ClassVar[str] = "benchmark-idle"

    def compose(self) -> Strategy:
        """Put the algorithm together."""
        half = ClientHalf("benchmarks.halves:idle", self.local)
        return replace(self.around(SGD(1.0)), half=half)


@strategy_registry.register("benchmark-absent")
class Absent(Averaging):
    """Averaging over clients that never answer."""

    kind: ClassVar[str] = "benchmark-absent"

    def compose(self) -> Strategy:
        """Put the algorithm together."""
        half = ClientHalf("benchmarks.halves:absent", self.local)
        return replace(self.around(SGD(1.0)), half=half)


@strategy_registry.register("benchmark-drift")
class Drift(Averaging):
    """Averaging over clients that do not train; each version is new in every chunk."""

    kind: ClassVar[str] = "benchmark-drift"

    def compose(self) -> Strategy:
        """Put the algorithm together."""
        half = ClientHalf("benchmarks.halves:drift", self.local)
        return replace(self.around(SGD(1.0)), half=half)


@strategy_registry.register("benchmark-timed")
class Timed(Averaging):
    """Federated averaging that says when its clients began."""

    kind: ClassVar[str] = "benchmark-timed"

    def compose(self) -> Strategy:
        """Put the algorithm together."""
        half = ClientHalf("benchmarks.halves:timed", self.local)
        return replace(self.around(SGD(1.0)), half=half)


def mnist_shaped(widths: tuple[int, ...], split: Partitioner, *, n: int = 60_000) -> Task:
    """A task that costs what MNIST costs and needs no files: random pixels, random labels.

    Args:
        widths: Units of each layer between the 784 pixels and the 10 classes.
        split: Who holds what.
        n: Examples.
    """
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (n, 28, 28), np.uint8)
    labels = random.integers(0, 10, n)
    all_widths = (784, *widths, 10)

    def model() -> nn.Module:
        layers: list[nn.Module] = [nn.Flatten()]
        for before, after in itertools.pairwise(all_widths):
            layers += [nn.Linear(before, after), nn.ReLU()]
        return nn.Sequential(*layers[:-1])

    test = (pixels[:1000], labels[:1000])
    return Task(model=model, train=(pixels, labels), test=test, split=split, name="mnist-shaped")
