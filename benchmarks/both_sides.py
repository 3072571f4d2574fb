"""Tasks and plans of the benchmarks of remote clients, which coordinator and clients make alike."""

from __future__ import annotations

from typing import Any

import flnb
from benchmarks.halves import Drift, Idle, mnist_shaped
from flnb.core import Evaluation, Local, Plan
from flnb.tasks import Task

MODELS: dict[str, tuple[int, ...]] = {
    "small": (),  # 784 → 10: 7,850 parameters
    "8 MB": (2516,),
    "64 MB": (20_128,),  # 16 million parameters in 4 tensors
}
BYTES = {"small": 31_424, "8 MB": 8_001_024, "64 MB": 64_007_104}
"""On the wire; each tensor begins on 64 bytes."""


def task_of(model: str, clients: int) -> Task:
    """A task with a model of this size, with a few examples for each client.

    Args:
        model: One of `MODELS`, or "digits" for the real one.
        clients: How many there are: `c000`, `c001`, …
    """
    split = flnb.IID(clients=clients, seed=0)
    if model == "digits":
        return flnb.tasks.digits("mlp", split=split)
    return mnist_shaped(MODELS[model], split, n=max(1000, clients))


def plan_of(how: str, **settings: Any) -> Plan:
    """A plan that measures nothing and waits for everybody.

    Args:
        how: `idle` gives the version back, `drift` an update that is new in every chunk, `train`
            trains.
        settings: Of the plan.
    """
    strategy = {
        "idle": Idle(),
        "drift": Drift(),
        "train": flnb.FedAvg(local=Local(epochs=1, batch_size=32, lr=0.1)),
    }[how]
    return Plan(strategy=strategy, evaluation=Evaluation(central_every=0), **settings)
