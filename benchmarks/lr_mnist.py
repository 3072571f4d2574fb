"""Logistic regression on MNIST, 1000 clients by power law with two labels each: as good as pfl?

The setting is that of the published tables of FLUTE and FedML (about 81 % after 100 rounds), on
the 60,000 training digits: 10 clients a round, batches of 10, rate 0.03, one epoch, unweighted
mean. The figure is the mean test accuracy of rounds 81 to 100 over five seeds. Ours goes through
the coordinator; pfl-research gets the same clients, arrays and first versions, in the same run.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator

import numpy as np

import flnb
from benchmarks.driving import coordinator_for, finished
from benchmarks.pfl_research import NAME, Peer, pfl
from benchmarks.rows import Row
from flnb.core import Local, Plan
from flnb.strategies import FedAvg
from flnb.tasks import Task

SEEDS = (1, 2, 3, 4, 5)
ROUNDS = 100
COUNTED = slice(80, 100)


def rows() -> Iterator[Row]:
    """Train with both, and say how far apart they end."""
    task = flnb.tasks.mnist(split=flnb.PowerLawSizes(clients=1000, labels=2))
    yield from sizes(task)
    local = Local(epochs=1, batch_size=10, lr=0.03)
    plan = Plan(strategy=FedAvg(local=local, weighting="equal"), rounds=ROUNDS, invite=10)
    ours: list[float] = []
    theirs: list[float] = []
    with coordinator_for(task) as coordinator:
        for seed in SEEDS:
            seeded = plan.replace(seed=seed)
            ours.append(our_accuracy(coordinator, seeded, task))
            with pfl(task, seeded, (784, 10)) as peer:  # starts from our first version of that seed
                theirs.append(their_accuracy(peer, seed))
            print(f"seed {seed}: {ours[-1]:.4f}, {NAME} {theirs[-1]:.4f}", flush=True)
    name = "LR on MNIST, test accuracy, mean of rounds 81–100"
    yield Row.of(name, ours, "", peer=NAME, peer_values=theirs)
    apart = statistics.fmean(ours) - statistics.fmean(theirs)
    error = math.sqrt((statistics.variance(ours) + statistics.variance(theirs)) / len(SEEDS))
    yield Row.of(f"{name}: ours minus theirs, means of 5 seeds", [apart], "")
    yield Row.of(f"{name}: distance", [abs(apart) / error], "standard errors", bar="<= 2")


def our_accuracy(coordinator: flnb.Coordinator, plan: Plan, task: Task) -> float:
    """Mean accuracy of the counted rounds."""
    metrics = finished(coordinator, plan, task).metrics.df()
    central = metrics.query("scope == 'central' and metric == 'accuracy'").sort_values("round")
    return statistics.fmean(central["value"].tolist()[COUNTED])


def their_accuracy(peer: Peer, seed: int) -> float:
    """Mean accuracy of the counted rounds."""
    return statistics.fmean(peer.train(ROUNDS, seed=seed, measure=True)["accuracy"][COUNTED])


def sizes(task: Task) -> Iterator[Row]:
    """How many examples the clients of the split have."""
    counts = task.split.sizes
    facts = {
        "clients": len(counts),
        "examples": counts.sum(),
        "examples of the smallest client": counts.min(),
        "examples of the median client": np.median(counts),
        "examples of a client, mean": counts.mean(),
        "examples of a client, standard deviation": counts.std(),
        "examples of the largest client": counts.max(),
    }
    for name, value in facts.items():
        yield Row.of(f"split: {name}", [float(value)], "")
