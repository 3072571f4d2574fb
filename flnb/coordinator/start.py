"""The two doors: open a lab, and see something learn in half a minute."""

from __future__ import annotations

import tempfile
from pathlib import Path

from flnb.coordinator.coordinator import Coordinator
from flnb.coordinator.lab import Lab
from flnb.coordinator.run import Run
from flnb.core.errors import NotFoundError
from flnb.core.plan import Local, Plan

_last_opened: list[Lab] = []


def open(
    path: str | Path = "./lab", state: str | None = None
) -> Lab:  # flnb.open is how people say it
    """Open a lab, making it where there is none.

    Args:
        path: A folder, outside of which nothing is written; or `s3://bucket/prefix` for the commits
            of a lab that several machines share. Credentials come from the environment.
        state: `postgresql://user@host/database`, where a shared lab keeps its state; for S3 by
            default that in the environment variable `DATABASE_URL`.

    Raises:
        LabVersionError: A newer flnb wrote it.
        StorageUnreachableError: The database or the bucket do not answer.
        AccessRefusedError: The bucket does not let us in.
        NotFoundError: There is no such bucket.
        StoreError: The folder or the database holds something else, or cannot be written.
    """
    lab = Lab.open(path, state)
    _last_opened[:] = [lab]
    return lab


def last_opened() -> Lab:
    """The lab that `open` returned last in this process; what magics ask.

    Raises:
        NotFoundError: None was opened.
    """
    if not _last_opened:
        raise NotFoundError("open lab", "", ["flnb.open(path)"])
    return _last_opened[0]


def quickstart_plan(*, rounds: int = 30, seed: int = 0) -> Plan:
    """The plan of `quickstart`: FedAvg, half of 20 clients a round."""
    return Plan(
        strategy={"kind": "fedavg", "local": Local(epochs=5, batch_size=10, lr=0.1)},
        rounds=rounds,
        invite=10,
        seed=seed,
    )


def quickstart(
    data: str = "digits", *, lab: str | Path | None = None, rounds: int = 30, seed: int = 0
) -> Run:
    """Train on data that is always there, and return the finished run.

    Args:
        data: `digits`, the 1,797 small images that come with scikit-learn.
        lab: Where to keep it; by default a new temporary folder.
        rounds: How many rounds.
        seed: Of everything random.

    Raises:
        NotFoundError: No such data.
    """
    from flnb import tasks  # tasks import torch, and this module is imported without it
    from flnb.datasets import Dirichlet

    if data != "digits":
        raise NotFoundError("quickstart data", data, ["digits"])
    task = tasks.digits(model="mlp", split=Dirichlet(alpha=0.3, clients=20, seed=seed))
    folder = lab if lab is not None else tempfile.mkdtemp(prefix="flnb-")
    with Coordinator(Lab.open(folder)) as coordinator:
        coordinator.simulate(task)
        return coordinator.run(quickstart_plan(rounds=rounds, seed=seed), task).wait()
