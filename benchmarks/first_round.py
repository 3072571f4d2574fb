"""How long until the first client trains.

`python -m benchmarks.first_round` measures once in a new process, where nothing is running yet,
and prints what it found.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator

import flnb
from benchmarks.driving import coordinator_for
from benchmarks.halves import Timed, mnist_shaped
from benchmarks.rows import Row
from flnb.core import Evaluation, Plan
from flnb.tasks import Task

TRIES = 7


def rows() -> Iterator[Row]:
    """Measure with workers that wait for work, and from nothing."""
    task = the_task()
    warm = [with_workers_up(task) for _ in range(TRIES)]
    yield Row.of("first round after coord.run, workers up", warm, "s", bar="<= 0.5")
    cold = [in_a_new_process() for _ in range(3)]
    yield Row.of("first round after coord.run, new process", [one["run"] for one in cold], "s")
    yield Row.of("first round after `python` is typed", [one["process"] for one in cold], "s")


def the_task() -> Task:
    """The 2NN of McMahan et al. on 100 clients."""
    return mnist_shaped((200, 200), flnb.IID(clients=100))


def with_workers_up(task: Task) -> float:
    """Seconds from `coord.run` to the first client, in a new lab."""
    with coordinator_for(task, workers=2) as coordinator:
        return from_run_to_client(coordinator, task)


def from_run_to_client(coordinator: flnb.Coordinator, task: Task) -> float:
    """Seconds from `coord.run` to the first client that trains."""
    plan = Plan(strategy=Timed(), rounds=1, evaluation=Evaluation(central_every=0))
    asked_s = time.monotonic()
    run = coordinator.run(plan, task).wait()
    return float(run.round(1).clients.df()["loss"].min()) - asked_s


def in_a_new_process() -> dict[str, float]:
    """What `python -m benchmarks.first_round` found."""
    began_s = time.monotonic()
    command = [sys.executable, "-m", "benchmarks.first_round"]
    found = json.loads(subprocess.run(command, capture_output=True, check=True, text=True).stdout)
    return {"run": found["run"], "process": found["first_client_at"] - began_s}


def main() -> None:
    """Measure once, from nothing."""
    task = the_task()
    with (
        tempfile.TemporaryDirectory(prefix="flnb-bench-") as folder,
        flnb.Coordinator(folder) as coordinator,
    ):
        coordinator.simulate(task, workers=2)
        asked_s = time.monotonic()
        took_s = from_run_to_client(coordinator, task)
    print(json.dumps({"run": took_s, "first_client_at": asked_s + took_s}))


if __name__ == "__main__":
    main()
