"""Two thousand rounds of digits: nothing grows.

Memory is the resident size of the coordinator's process and of all its children, shared pages
counted for each. The model has 19 kB, so a single version (or its update) kept a round would be
four times the bar; the bar is what the rows of a round may take in DuckDB's cache. A commit every
ten rounds (`auto` would make fewer) sees to it that history takes part from the start: its second
block of shared memory comes with the second commit.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import psutil

import flnb
from benchmarks.driving import coordinator_for
from benchmarks.rows import Row
from flnb.core import Plan
from flnb.core.view import RunView

ROUNDS = 2000
SETTLED = 500
EVERY = 5
"""Rounds between two looks."""


@dataclass(frozen=True, slots=True)
class Look:
    """What the process and its children hold after a round."""

    round: int
    kilobytes: float
    threads: int
    files: int
    processes: int


def rows(rounds: int = ROUNDS, settled: int = SETTLED) -> Iterator[Row]:
    """Fit a line through the memory of the settled rounds."""
    looks = [look for look in observed(rounds) if look.round > settled]
    slope = np.polyfit([look.round for look in looks], [look.kilobytes for look in looks], 1)[0]
    name = f"{rounds:,} rounds of digits"
    yield Row.of(f"{name}: memory", [float(slope)], "kB a round", bar="<= 5")
    for fact in ("threads", "files", "processes"):
        counts = [getattr(look, fact) for look in looks]
        half = len(counts) // 2  # idle threads of Icechunk come and go
        growth = float(max(counts[half:]) - max(counts[:half]))
        yield Row.of(f"{name}: more {fact} at the end", [growth], "", bar="<= 0")
    yield Row.of(f"{name}: resident, all processes", [looks[-1].kilobytes / 1024], "MiB")


def observed(rounds: int) -> list[Look]:
    """Run, and look at the processes now and then."""
    task = flnb.tasks.digits("mlp", split=flnb.Dirichlet(alpha=0.3, clients=20))
    plan = Plan(rounds=rounds, invite=10, commit_every=10)
    looks: list[Look] = []

    def watch(view: RunView) -> None:
        if view.round % EVERY == 0 and (not looks or looks[-1].round < view.round):
            looks.append(look(view.round))

    with coordinator_for(task, workers=2) as coordinator:
        run = coordinator.run(plan, task)
        run.on_change(watch)
        run.wait()
    return looks


def look(round_number: int) -> Look:
    """Look at this process and its children."""
    this = psutil.Process()
    family = [this, *this.children(recursive=True)]
    return Look(
        round_number,
        sum(process.memory_info().rss for process in family) / 1024,
        sum(process.num_threads() for process in family),
        sum(process.num_fds() for process in family),
        len(family),
    )
