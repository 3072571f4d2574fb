"""Whole rounds beside pfl-research: logistic regression and the 2NN on data shaped like MNIST.

Both train ten clients a round for one epoch in batches of ten and take the unweighted mean;
evaluation is off. Ours go through the coordinator with journal, metrics and history at their
defaults, and shuffle each epoch, which pfl does not. They take turns.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import flnb
from benchmarks.driving import WARM_UP, coordinator_for, finished, round_seconds
from benchmarks.halves import mnist_shaped
from benchmarks.pfl_research import NAME, pfl
from benchmarks.rows import Row
from flnb.core import Evaluation, Local, Plan
from flnb.datasets import Partitioner
from flnb.strategies import FedAvg


@dataclass(frozen=True, slots=True)
class Workload:
    """What is trained."""

    name: str
    hidden: tuple[int, ...]
    lr: float
    split: Partitioner
    rounds: int
    """Of one turn."""


WORKLOADS = (
    Workload(
        "LR 784×10, 1000 clients by power law, 10 a round",
        (),
        0.03,
        flnb.PowerLawSizes(clients=1000, labels=2),
        50,
    ),
    Workload(
        "2NN 784×200×200×10, 100 clients of 600, 10 a round",
        (200, 200),
        0.1,
        flnb.IID(clients=100),
        12,
    ),
)


def rows(*, turns: int = 4) -> Iterator[Row]:
    """One process and two, on each workload."""
    for workload in WORKLOADS:
        for processes in (1, 2):
            yield beside_pfl(workload, processes, turns)


def beside_pfl(workload: Workload, processes: int, turns: int) -> Row:
    """Seconds a round, ours and pfl's, each with as many processes of one thread."""
    task = mnist_shaped(workload.hidden, workload.split)
    local = Local(epochs=1, batch_size=10, lr=workload.lr)
    plan = Plan(
        strategy=FedAvg(local=local, weighting="equal"),
        rounds=workload.rounds,
        invite=10,
        evaluation=Evaluation(central_every=0),
    )
    ours: list[float] = []
    theirs: list[float] = []
    widths = (784, *workload.hidden, 10)
    workers = 0 if processes == 1 else processes
    with (
        coordinator_for(task, workers=workers) as coordinator,
        pfl(task, plan, widths, processes=processes) as peer,
    ):
        for turn in range(turns):
            again = plan.replace(seed=turn)
            ours += round_seconds(finished(coordinator, again, task))
            theirs += peer.train(plan.rounds)["seconds"][WARM_UP:]
    return Row.of(
        f"{workload.name}, {processes} process{'es' * (processes > 1)} × 1 thread",
        [1000 * value for value in ours],
        "ms a round",
        peer=NAME,
        peer_values=[1000 * value for value in theirs],
    )
