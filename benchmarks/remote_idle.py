"""Thousands of sessions that do nothing: what they cost the coordinator, and how soon all hear.

Every session is a connection of its own with its keep-alive notes. Memory is the resident size of
the coordinator's process; processor time is all of that process, its ticks included. A broadcast
is timed from `coord.run` (or `run.stop`) to the moment at which the last client has heard.
"""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Iterator

import psutil

from benchmarks.processes import Process
from benchmarks.rows import Row

MODEL = "small"
_COMING_S = 240.0


def rows(
    *, sessions: int = 5000, processes: int = 2, idle_s: float = 20.0, turns: int = 3
) -> Iterator[Row]:
    """Let them all come, look at them for a while, then tell them something."""
    with tempfile.TemporaryDirectory(prefix="flnb-bench-") as folder, contextlib.ExitStack() as up:
        service = up.enter_context(Process("benchmarks.service", f"{folder}/lab"))
        service.hear()
        invites = invited(service, sessions)
        coordinator = psutil.Process(service.pid)
        before = coordinator.memory_info().rss
        crowds = [
            up.enter_context(Process("benchmarks.idle_crowd", MODEL, str(sessions)))
            for _ in range(processes)
        ]
        for first, crowd in enumerate(crowds):
            crowd.say(invites=invites[first::processes])
        for crowd in crowds:
            crowd.hear(_COMING_S)
        name = f"{sessions:,} idle sessions"
        share = busy(coordinator, idle_s)
        grown = (coordinator.memory_info().rss - before) / sessions / 1000
        yield Row.of(f"{name}: resident memory of the coordinator", [grown], "kB each", bar="<= 60")
        yield Row.of(f"{name}: processor time", [100 * share], "% of a core", bar="<= 2")
        heard = [broadcast(service, crowds, sessions) for _ in range(turns)]
    given, taken = zip(*heard, strict=True)
    yield Row.of(f"{name}: word to all that a run has stopped", taken, "s", bar="< 1.5")
    yield Row.of(f"{name}: work and a version of 31 kB to all", given, "s")


def invited(service: Process, sessions: int) -> list[str]:
    """Invites for all of them."""
    names = [f"c{number:04d}" for number in range(sessions)]
    return list(service.ask(do="invite", clients=names)["invites"].values())


def busy(process: psutil.Process, for_s: float) -> float:
    """Share of a core that a process takes."""
    before = process.cpu_times()
    time.sleep(for_s)
    after = process.cpu_times()
    return float(after.user - before.user + after.system - before.system) / for_s


def broadcast(service: Process, crowds: list[Process], sessions: int) -> tuple[float, float]:
    """Seconds until all have heard of new work, and until all have heard that it is withdrawn."""
    settings = {"invite": sessions, "rounds": 1}
    order = {"model": MODEL, "how": "idle", "clients": sessions, "plan": settings}
    asked_s = service.ask(do="start", **order)["asked_s"]
    given_s = last_heard(crowds, "assignment", sessions, asked_s)
    stopped_s = service.ask(do="stop")["asked_s"]
    return given_s, last_heard(crowds, "withdrawn", sessions, stopped_s)


def last_heard(crowds: list[Process], kind: str, sessions: int, since_s: float) -> float:
    """Seconds from a moment until the last of all sessions has heard of something."""
    heard: list[float] = []
    while len(heard) < sessions:
        time.sleep(0.2)
        moments = [moment for crowd in crowds for moment in crowd.ask(tell=kind)["moments"]]
        heard = [moment - since_s for moment in moments if moment > since_s]
    return max(heard)
