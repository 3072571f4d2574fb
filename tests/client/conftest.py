"""Two tasks: one whose model fits a chunk and has everything, one of several chunks."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from torch import nn

from flnb.datasets import Split
from flnb.tasks import Task
from flnb.tensors import Update
from flnb.training import LocalResult
from tests.client.coordinators import CLIENT, Coordinator
from tests.engines.cohorts import make_task


class Wide(nn.Module):
    """270,000 parameters: five chunks."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(6, 30_000), nn.ReLU(), nn.Linear(30_000, 2))

    def forward(self, batch):
        return self.layers(batch)


@pytest.fixture(scope="session")
def task():
    """Batch norm, dropout, an integer buffer; one client that has everything, not of our name."""
    made = make_task()
    everything = Split.of({"somebody": range(len(made.data.train.y))})
    metrics = list(made.metrics.values())
    return Task(model=made.model, data=made.data, split=everything, metrics=metrics, name="all")


@pytest.fixture(scope="session")
def wide():
    random = np.random.default_rng(3)
    x = random.normal(size=(24, 6)).astype(np.float32)
    y = (x[:, 0] > 0).astype(np.int64)
    split = Split.of({CLIENT: range(24)})
    return Task(model=Wide, train=(x, y), split=split, metrics=(), name="wide")


@pytest.fixture
def coordinator():
    return Coordinator()


@pytest.fixture
def home(tmp_path):
    return tmp_path / "home"


class Counting:
    """A training that is counted, can be held up, and adds one to everything."""

    def __init__(self) -> None:
        self.works = []
        self.go_on = threading.Event()
        self.go_on.set()

    def __call__(self, base, work):
        self.works.append(work)
        assert self.go_on.wait(20.0)
        ones = np.ones(base.layout.n_values, np.float32)
        update = Update(base.layout, ones, base.integers)
        return LocalResult(update, n_examples=5, loss=0.5, train_s=0.1)


@pytest.fixture
def training():
    train = Counting()
    yield train
    train.go_on.set()
