"""Runs through the coordinator, as a user starts them, and how long their rounds take."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

import flnb
from flnb.core import Plan
from flnb.engines import ProcessEngine
from flnb.tasks import Task

WARM_UP = 2
"""Rounds at the start of a stretch that are not counted."""


@contextmanager
def coordinator_for(task: Task, workers: int | None = None) -> Iterator[flnb.Coordinator]:
    """A coordinator in a lab of its own that simulates a task's clients; workers are up."""
    with (
        tempfile.TemporaryDirectory(prefix="flnb-bench-") as folder,
        flnb.Coordinator(folder) as coordinator,
    ):
        engine = coordinator.simulate(task, workers=workers).engine
        if isinstance(engine, ProcessEngine):
            assert engine.worker_pids
        yield coordinator


def finished(coordinator: flnb.Coordinator, plan: Plan, task: Task) -> flnb.Run:
    """Run a plan to its end."""
    return coordinator.run(plan, task).wait()


def round_seconds(run: flnb.Run, *, warm_up: int = WARM_UP) -> list[float]:
    """Seconds from one closing to the next: everything that a round costs, and what it waits for."""
    closed_at = run.rounds.df()["closed_at"]
    return cast(list[float], closed_at.diff().dt.total_seconds().iloc[max(1, warm_up) :].tolist())
