"""What open pages cost a round: the same run with the server of pages and its pages, and without, in turns.

Without them their processes are stopped where they are (SIGSTOP), so that nothing is started or
warmed up in a turn.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np
import psutil

import flnb
from benchmarks.pages_server import PATH, Server, server
from benchmarks.rows import Row
from benchmarks.service_federation import federation
from flnb.core.clock import SYSTEM_CLOCK

PAGES, TURNS, SECONDS = 5, 8, 5.0
_EPOCHS = 40
"""About five rounds a second."""


def rows(turns: int = TURNS, seconds: float = SECONDS) -> Iterator[Row]:
    """Measure in turns."""
    windows: dict[bool, list[tuple[object, object]]] = {True: [], False: []}
    with federation(_EPOCHS) as busy:
        with server(busy.lab) as pages:
            pages.sessions.ask(do="open", count=PAGES, path=PATH)
            time.sleep(2.0)
            for turn in range(2 * turns):
                shown = turn % 2 == 0
                _let(pages, go=shown)
                time.sleep(0.5)
                began = SYSTEM_CLOCK.now()
                time.sleep(seconds)
                windows[shown].append((began, SYSTEM_CLOCK.now()))
            _let(pages, go=True)
        lab = flnb.open(busy.lab)
        closed = lab.run(busy.run).rounds.df()
        lab.store.close()

    def means(shown: bool) -> list[float]:
        return [
            float(closed[(closed["opened_at"] > a) & (closed["closed_at"] < b)]["seconds_s"].mean())
            for a, b in windows[shown]
        ]

    with_pages, without = means(True), means(False)
    more = [100 * (a / b - 1) for a, b in zip(with_pages, without, strict=True)]
    name = f"round beside {PAGES} open pages"
    yield Row.of(name, with_pages, "s", peer="without", peer_values=without)
    yield Row.of(f"{name}: longer by", [float(np.median(more))], "%", bar="<= 2")


def _let(pages: Server, *, go: bool) -> None:
    for process in (pages.process, psutil.Process(pages.sessions.pid)):
        process.resume() if go else process.suspend()
