"""Which engine, for how many cores."""

from __future__ import annotations

import os

from flnb.engines.behaviour import Behaviour
from flnb.engines.process import ProcessEngine
from flnb.engines.sequential import SequentialEngine
from flnb.tasks import Task


def usable_cores() -> int:
    """Cores that this process may use; those that a batch system took away are not counted."""
    return len(os.sched_getaffinity(0))


def engine_for(
    task: Task,
    clients: int | None = None,
    slow: float | str | None = None,
    drop: float = 0.0,
    workers: int | None = None,
) -> SequentialEngine | ProcessEngine:
    """Make the engine for a simulation.

    Args:
        task: What is trained.
        clients: How many of the split's clients take part, the first ones; None is all.
        slow: Simulated latency, see `Behaviour`.
        drop: Probability that an invited client never answers.
        workers: Processes to train in; 0 trains in this one, None takes one a usable core.

    Raises:
        PlanError: A setting is out of range, or the split has fewer clients.
    """
    behaviour = Behaviour(slow, drop)
    if workers == 0:
        return SequentialEngine(task, behaviour, clients)
    return ProcessEngine(task, behaviour, clients, usable_cores() if workers is None else workers)
