"""REST and events of a coordinator in a kernel, while a cell does nothing, computes in Python, or holds the GIL.

The coordinator lives in this process, and the cells run in its main thread as they would in a kernel;
whoever asks and listens is a process of its own.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

import flnb
from benchmarks.processes import Process
from benchmarks.rows import Row
from benchmarks.service_federation import Federation
from flnb.transport import Pass

SECONDS, LISTENERS, EPOCHS = 15, 20, 50
_HELD = 5_000_000


def _idle() -> None:
    time.sleep(0.1)


def _python() -> None:
    for number in range(100_000):
        str(number)


def _gil() -> None:
    sum(range(_HELD))  # in C from its beginning to its end: nobody else gets the GIL meanwhile


CELLS: dict[str, Callable[[], None]] = {"idle": _idle, "Python": _python, "GIL-holding": _gil}


def rows() -> Iterator[Row]:
    """Measure each kind of cell."""
    with (
        tempfile.TemporaryDirectory() as folder,
        flnb.Coordinator(Path(folder) / "lab", http_port=0) as coordinator,
    ):
        here = _begun(coordinator)
        for name, cell in CELLS.items():
            took_s, late_s, held_s = _measured(here, cell)
            said = f"a kernel during {'an' if name == 'idle' else 'a'} {name} cell"
            yield Row.of(f"REST of {said}: p95", [np.percentile(took_s, 95) * 1000], "ms")
            yield Row.of(f"events of {said}: p95", [np.percentile(late_s, 95) * 1000], "ms")
            yield Row.of(f"{said}: one turn of it", [float(np.median(held_s)) * 1000], "ms")
        coordinator.attach(here.run).stop().wait(60)


def _begun(coordinator: flnb.Coordinator) -> Federation:
    task = flnb.tasks.digits(split=flnb.IID(clients=50, seed=0))
    coordinator.simulate(task, workers=1)
    strategy = flnb.FedAvg(local=flnb.Local(epochs=EPOCHS, batch_size=32, lr=0.1))
    plan = flnb.Plan(strategy=strategy, rounds=100_000, invite=10, seed=1, commit_every=100_000)
    run = coordinator.run(plan, task, name="busy")
    token = Pass.parse(coordinator.token("bench", role="operator").text).token
    assert coordinator.http is not None, "it was started with a port"
    return Federation(coordinator.http, token, run.name, coordinator.lab.path)


def _measured(
    here: Federation, cell: Callable[[], None]
) -> tuple[list[float], list[float], list[float]]:
    """How long requests took and how late events were while a cell was run again and again."""
    url = here.url.replace("http", "ws", 1) + "/ws/events"
    with (
        Process("benchmarks.service_listeners", url, here.token, str(LISTENERS)) as listeners,
        ThreadPoolExecutor(1) as waits,
    ):
        listeners.hear()
        listeners.say(begin=True)
        arguments = here.url, here.token, here.run, str(SECONDS)
        with Process("benchmarks.service_rest", *arguments) as asks:
            asked, held_s = waits.submit(asks.hear), list[float]()
            while not asked.done():
                began_s = time.perf_counter()
                cell()
                held_s.append(time.perf_counter() - began_s)
        listeners.say(end=True)
        return asked.result()["took_s"], listeners.hear()["late_s"], held_s
