"""Runs that nobody had to train: their rounds are written straight into history and state.

Rows are made as the coordinator makes them, so that everything that reads a lab finds what it
expects; only the numbers in the models mean nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from flnb.coordinator.closer import Version
from flnb.coordinator.jobs import new_record
from flnb.coordinator.population import Simulation
from flnb.coordinator.rows import metric_columns
from flnb.core import Plan, Status
from flnb.store import Closing, LabStore, RunRecord
from flnb.tasks import Task
from flnb.tensors import Layout, Model

SIMULATION = Simulation(workers=0)
_BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


def new_run(store: LabStore, plan: Plan, task: Task, name: str) -> RunRecord:
    """Write the row of a run that rests."""
    record = new_record(store, plan, task, SIMULATION, name)
    store.state.create_run(record)
    store.state.set_status(record.id, Status.PAUSED)
    return record


def write_rounds(
    store: LabStore, record: RunRecord, plan: Plan, versions: Iterable[Model]
) -> list[str]:
    """Commit and close a round for every version; returns the identities of their snapshots."""
    server, snapshots = plan.strategy.compose().server, list[str]()
    optimiser = server.init(Layout.from_json(record.layout))
    for number, model in enumerate(versions, start=1):
        groups = Version(number, model, optimiser).groups()
        snapshots.append(store.history.write(record.id, groups, {"round": number}))
        closing = _closing(record, number, snapshots[-1], model.sha256())
        store.state.close_round(replace(closing, sums=store.history.sums_digest))
    return snapshots


def _closing(record: RunRecord, number: int, snapshot: str, sha256: str) -> Closing:
    at = _BEGAN + timedelta(seconds=number)
    return Closing(
        run=record.id,
        round=number,
        closed_by="all answered",
        opened_at=at,
        closed_at=at + timedelta(seconds=1),
        seconds_s=1.0,
        snapshot=snapshot,
        parameters_sha256=sha256,
        metrics=metric_columns({"central": {"loss": 1 / number, "accuracy": 1 - 1 / number}}),
    )


def on_disk(folder: Path) -> tuple[int, int]:
    """Files below a folder, and their bytes."""
    sizes = [file.stat().st_size for file in folder.rglob("*") if file.is_file()]
    return len(sizes), sum(sizes)


def out_of_memory(*places: Path) -> None:
    """Write files out and let the kernel forget their pages: the next read comes from the disk."""
    for place in places:
        for file in [place] if place.is_file() else place.rglob("*"):
            if file.is_file():
                fd = os.open(file, os.O_RDONLY)
                os.fsync(fd)
                os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
                os.close(fd)


def random_values(n: int, seed: int = 0) -> np.ndarray:
    """Float32 values that no two chunks share."""
    return np.random.default_rng(seed).random(n, np.float32)
