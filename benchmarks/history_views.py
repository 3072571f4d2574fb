"""How soon an open view shows that a head was moved: in this process, and in one that only follows."""

from __future__ import annotations

import time
from collections.abc import Iterator

import flnb
from benchmarks.driving import coordinator_for
from benchmarks.processes import Process
from benchmarks.rows import Row
from flnb.core import Local, Plan
from flnb.core.errors import HeadMovedError
from flnb.core.view import RunView
from flnb.strategies import FedAvg

BACK = 3
"""Rounds that a roll back takes off the head."""


def rows(*, times: int = 7) -> Iterator[Row]:
    """Roll a run back while it goes on and is looked at, again and again."""
    task = flnb.tasks.digits(model="softmax", split=flnb.IID(clients=6, seed=0))
    plan = Plan(strategy=FedAvg(local=Local(epochs=100)), rounds=100_000, invite=4, commit_every=1)
    here, elsewhere = list[float](), list[float]()
    with coordinator_for(task, workers=0) as coordinator:
        run, seen = coordinator.run(plan, task, name="seen"), dict[int, float]()

        def look(view: RunView) -> None:
            seen.setdefault(view.generation, time.monotonic())

        run.on_change(look)
        with Process("benchmarks.onlooker", str(coordinator.lab.path), "seen") as onlooker:
            onlooker.hear()
            for _ in range(times):
                target = run.view.round + 1
                while run.view.round < target + BACK:
                    time.sleep(0.01)
                began_s = moved_back(run, target)
                moved_s, told = time.monotonic(), onlooker.hear()
                here.append(1e3 * (seen[told["generation"]] - began_s))
                elsewhere.append(1e3 * (told["at_s"] - moved_s))
                run = run.resume()
    yield Row.of("roll back of a run that goes on, shown here", here, "ms", bar="<= 1000")
    yield Row.of("the same, shown in another process", elsewhere, "ms", bar="<= 1000")


def moved_back(run: flnb.Run, target: int) -> float:
    """Roll back; once more as often as a round was closed meanwhile. When the last try began."""
    while True:
        began_s = time.monotonic()
        try:
            run.rollback(to=target).apply("looked at")
        except HeadMovedError:
            continue
        return began_s
