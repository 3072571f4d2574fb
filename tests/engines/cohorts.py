"""A task with everything that could tell two engines apart, and work for its clients."""

from __future__ import annotations

import numpy as np
from torch import nn

from flnb.core import ClientHalf, Local, Work
from flnb.core.ids import RunId
from flnb.datasets import Split
from flnb.tasks import Task

SIZES = (10, 30, 14, 22, 8, 42, 18, 12, 0, 25)
NAMES = tuple(f"c{i:03}" for i in range(len(SIZES)))
N_TEST = 4100
"""Three blocks."""


def examples(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    y = random.integers(0, 3, n)
    return (random.normal(size=(n, 6)) + y[:, None]).astype(np.float32), y


def split() -> Split:
    ends = np.cumsum(SIZES)
    return Split.of(
        {name: range(end - n, end) for name, n, end in zip(NAMES, SIZES, ends, strict=True)}
    )


def make_task(x: np.ndarray | None = None, on_input=None) -> Task:
    """Make a task with batch norm, dropout and an integer buffer.

    Args:
        x: Training inputs in place of the usual ones.
        on_input: Called with every batch before the model computes anything.
    """

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            layers = nn.Linear(6, 16), nn.BatchNorm1d(16), nn.Dropout(0.3), nn.ReLU()
            self.layers = nn.Sequential(*layers, nn.Linear(16, 3))

        def forward(self, batch):
            if on_input is not None:
                on_input(batch)
            return self.layers(batch)

    usual, y = examples(sum(SIZES), seed=1)
    train = (usual if x is None else x, y)
    return Task(model=Net, train=train, test=examples(N_TEST, seed=2), split=split(), name="all")


def rows_of_client(client: int) -> slice:
    """Where a client's examples lie."""
    return slice(sum(SIZES[:client]), sum(SIZES[: client + 1]))


def work_for(**changes) -> Work:
    local = changes.pop("local", Local(lr=0.05, momentum=0.9, batch_size=8))
    usual = {
        "run": RunId("run"),
        "seed": 7,
        "round": 3,
        "attempt": 0,
        "stage": "train",
        "clients": NAMES[:8],
        "half": ClientHalf("flnb.training:local_sgd", local),
        "weighting": "examples",
    }
    return Work(**{**usual, **changes})


def told(report) -> dict:
    """Everything in a report that must not depend on where and when work was done."""
    columns = {
        name: getattr(report, name).tolist()
        for name in ("rows", "outcome", "n_examples", "arrived_s")
    }
    for name in ("loss", "norm"):
        columns[name] = getattr(report, name).tobytes()
    metrics = {name: [part.tolist() for part in pair] for name, pair in report.metrics.items()}
    mean = report.sums.mean() if report.sums else None
    sums = (mean.values.tobytes(), mean.integers.tobytes()) if mean else None
    return {**columns, "reasons": dict(report.reasons), "metrics": metrics, "sums": sums}


def all_reports(engine, limit=None) -> list:
    reports = []
    while (report := engine.collect(limit)) is not None:
        reports.append(report)
    return reports
