"""Ten thousand commits of one run: opening, listing and loading, and what a commit leaves on the disk.

Rounds are written straight into history and state, by this process; the model is logistic
regression on the digits, so that what a commit costs beyond its values is seen.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np

import flnb
from benchmarks.rows import Row
from benchmarks.timing import seconds
from benchmarks.written import new_run, on_disk, random_values, write_rounds
from flnb.core import Plan
from flnb.store import History, LabStore
from flnb.tensors import Model

COMMITS = 10_000
EDGE = 500
"""Commits at either end that are compared."""


def rows(commits: int = COMMITS, *, edge: int = EDGE, times: int = 7) -> Iterator[Row]:
    """Write them, then look at them as somebody does who comes later."""
    with tempfile.TemporaryDirectory(prefix="flnb-bench-") as folder:
        path = Path(folder) / "lab"
        took_s, snapshots = written(path, commits)
        yield from growth(took_s, edge)
        yield from left(path, commits)
        yield from looks(path, commits, times)
        yield from loads(path / "history", snapshots, times)


def written(path: Path, commits: int) -> tuple[list[float], list[str]]:
    """Write the run; returns the seconds that each round took, and the snapshots."""
    task = flnb.tasks.digits(model="softmax", split=flnb.IID(clients=6, seed=0))
    plan, store, moments = Plan(rounds=commits, invite=1), LabStore.open(path), [0.0]

    def versions() -> Iterator[Model]:
        moments[0] = time.perf_counter()
        for number in range(commits):
            values = random_values(task.layout.n_values, seed=number)
            yield Model(task.layout, values, np.zeros(task.layout.n_integers, np.int64))
            moments.append(time.perf_counter())

    record = new_run(store, plan, task, "long")
    snapshots = write_rounds(store, record, plan, versions())
    store.close()
    return np.diff(moments).tolist(), snapshots


def growth(took_s: Sequence[float], edge: int) -> Iterator[Row]:
    """Whether the last commits take longer than the first."""
    first, last = (1e3 * np.array(part) for part in (took_s[:edge], took_s[-edge:]))
    name = f"commit and closing, run of {len(took_s):,}"
    yield Row.of(f"{name}: first {edge}", first.tolist(), "ms")
    yield Row.of(
        f"{name}: last {edge}", last.tolist(), "ms", peer="the first", peer_values=first.tolist()
    )


def left(path: Path, commits: int) -> Iterator[Row]:
    """Files and bytes on the disk, a commit."""
    for part in ("chunks", "manifests", "snapshots", "transactions", "refs"):
        files, size = on_disk(path / "history" / part)
        yield Row.of(f"{part}: files a commit", [files / commits], "")
        yield Row.of(f"{part}: bytes a commit", [size / commits], "")
    rows_size = (path / "state.db").stat().st_size
    yield Row.of("state.db: bytes a commit", [rows_size / commits], "")


def looks(path: Path, commits: int, times: int) -> Iterator[Row]:
    """Opening the lab and its run, listing, and a preview of a roll back."""
    name = f"{commits:,} commits"
    opened = [seconds(lambda: flnb.open(path).run("long")) for _ in range(times)]
    yield Row.of(f"{name}: open the lab and the run", opened, "s", bar="<= 1")
    run = flnb.open(path).run("long")
    listings: dict[str, Callable[[], object]] = {
        "history.df()": lambda: run.history.df(),
        "history as text": lambda: repr(run.history),
        "history as SVG": lambda: run.history._repr_mimebundle_(),
    }
    for what, listing in listings.items():
        yield Row.of(f"{name}: {what}", [seconds(listing) for _ in range(times)], "s", bar="<= 0.3")
    preview = [seconds(lambda: run.rollback(commits // 2)) for _ in range(times)]
    yield Row.of(f"{name}: preview of a roll back", preview, "s", bar="<= 0.1")


def loads(history: Path, snapshots: Sequence[str], times: int) -> Iterator[Row]:
    """Reading a commit with a repository that was just opened, in turns with reading the first."""
    places = [0, len(snapshots) // 2, len(snapshots) - 1]
    took = {place: list[float]() for place in places}
    for _ in range(3 * times):
        for place in places:
            took[place].append(1e3 * seconds(partial(_loaded, history, snapshots[place])))
    for place in places[1:]:
        yield Row.of(
            f"load commit {place + 1:,}",
            took[place],
            "ms",
            peer="load commit 1",
            peer_values=took[0],
        )
        ratio = float(np.median(took[place]) / np.median(took[0]))
        yield Row.of(f"load commit {place + 1:,}: over the first", [ratio], "times", bar="<= 1.1")


def _loaded(path: Path, snapshot: str) -> None:
    history = History(path)
    history.read(snapshot)
    history.close()
