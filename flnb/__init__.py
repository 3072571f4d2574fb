"""Federated learning that a researcher drives from a notebook.

    import flnb

    lab = flnb.open("./lab")
    task = flnb.tasks.digits(split=flnb.Dirichlet(alpha=0.3, clients=20, seed=1))
    plan = flnb.Plan(strategy=flnb.FedAvg(local=flnb.Local(lr=0.1)), rounds=30, invite=10)

    coord = flnb.Coordinator(lab).start()
    coord.simulate(task)
    run = coord.run(plan, task)
    run.live()

Names are loaded when they are first used, so that `import flnb` is quick and needs no torch.
The rooms, and what is in each, are in ARCHITECTURE.md.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flnb import tasks
    from flnb.client import Client
    from flnb.coordinator import Coordinator, Lab, Run
    from flnb.coordinator.control.connect import connect
    from flnb.coordinator.history.comparing import compare
    from flnb.coordinator.start import open, quickstart
    from flnb.core import Evaluation, Guard, Local, Plan
    from flnb.core.errors import FLBaseError
    from flnb.datasets import (
        IID,
        Dirichlet,
        LabelQuantity,
        LogNormalSizes,
        NaturalId,
        PowerLawSizes,
        Shards,
    )
    from flnb.experiments.params import params
    from flnb.strategies import FedAdagrad, FedAdam, FedAvg, FedAvgM, FedProx, FedSGD, FedYogi
    from flnb.tasks import Task

_HOMES = {
    "Client": "flnb.client",
    "Coordinator": "flnb.coordinator",
    "Dirichlet": "flnb.datasets",
    "Evaluation": "flnb.core",
    "FLBaseError": "flnb.core.errors",
    "FedAdagrad": "flnb.strategies",
    "FedAdam": "flnb.strategies",
    "FedAvg": "flnb.strategies",
    "FedAvgM": "flnb.strategies",
    "FedProx": "flnb.strategies",
    "FedSGD": "flnb.strategies",
    "FedYogi": "flnb.strategies",
    "Guard": "flnb.core",
    "IID": "flnb.datasets",
    "Lab": "flnb.coordinator",
    "LabelQuantity": "flnb.datasets",
    "Local": "flnb.core",
    "LogNormalSizes": "flnb.datasets",
    "NaturalId": "flnb.datasets",
    "Plan": "flnb.core",
    "PowerLawSizes": "flnb.datasets",
    "Run": "flnb.coordinator",
    "Shards": "flnb.datasets",
    "Task": "flnb.tasks",
    "compare": "flnb.coordinator.history.comparing",
    "connect": "flnb.coordinator.control.connect",
    "open": "flnb.coordinator.start",
    "params": "flnb.experiments.params",
    "quickstart": "flnb.coordinator.start",
}
__version__ = "0.1.0"
__all__ = [
    "IID",
    "Client",
    "Coordinator",
    "Dirichlet",
    "Evaluation",
    "FLBaseError",
    "FedAdagrad",
    "FedAdam",
    "FedAvg",
    "FedAvgM",
    "FedProx",
    "FedSGD",
    "FedYogi",
    "Guard",
    "Lab",
    "LabelQuantity",
    "Local",
    "LogNormalSizes",
    "NaturalId",
    "Plan",
    "PowerLawSizes",
    "Run",
    "Shards",
    "Task",
    "compare",
    "connect",
    "open",
    "params",
    "quickstart",
    "tasks",
]


def __getattr__(name: str) -> Any:
    if name == "tasks":
        return importlib.import_module("flnb.tasks")
    if name in _HOMES:
        value = getattr(importlib.import_module(_HOMES[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'flnb' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__


def load_ipython_extension(shell: Any) -> None:
    """Make `%%flsql` and `%fl` known: `%load_ext flnb`."""
    importlib.import_module("flnb.notebook.magics").load(shell)
