"""Thousands of sessions that do nothing: what they cost the coordinator, and how soon all hear.

Every session is a connection of its own with its keep-alive notes. Memory is the resident size of
the coordinator's process; processor time is all of that process, its ticks included. A broadcast
is timed from `coord.run` to the moment at which the last client has its work and the version.
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
    *, sessions: int = 5000, processes: int = 2, idle_s: float = 90.0, turns: int = 3
) -> Iterator[Row]:
    """Let them all come, look at them for a while, then tell them something.

    Each pings once in 90 s: a shorter look would see more or fewer of them than there are.
    """
    with (
        tempfile.TemporaryDirectory(prefix="flnb-bench-") as folder,
        Process("benchmarks.service", f"{folder}/lab") as service,
    ):
        service.hear()
        yield from with_sessions(service, sessions, processes, idle_s, turns)


def with_sessions(
    service: Process, sessions: int, processes: int, idle_s: float, turns: int
) -> Iterator[Row]:
    """Measure a coordinator with many sessions."""
    name = f"{sessions:,} idle sessions"
    invites = invited(service, sessions)
    coordinator = psutil.Process(service.pid)
    before = coordinator.memory_info().rss
    with contextlib.ExitStack() as up:
        crowds = []
        for first in range(processes):
            crowd = up.enter_context(Process("benchmarks.idle_crowd", MODEL, str(sessions)))
            crowd.say(invites=invites[first::processes])
            crowds.append(crowd)
        for crowd in crowds:
            crowd.hear(_COMING_S)
        share = busy(coordinator, idle_s)
        grown = (coordinator.memory_info().rss - before) / sessions / 1000
        yield Row.of(f"{name}: resident memory of the coordinator", [grown], "kB each", bar="<= 60")
        yield Row.of(f"{name}: processor time", [100 * share], "% of a core", bar="<= 2")
        heard = [broadcast(service, crowds, sessions) for _ in range(turns)]
    yield Row.of(f"{name}: work and a version of 31 kB to all", heard, "s", bar="<= 1.5")


def invited(service: Process, sessions: int) -> list[str]:
    """Invites for all of them."""
    names = [f"idle{number:04d}" for number in range(sessions)]
    return list(service.ask(do="invite", clients=names)["invites"].values())


def busy(process: psutil.Process, for_s: float) -> float:
    """Share of a core that a process takes."""
    before = process.cpu_times()
    time.sleep(for_s)
    after = process.cpu_times()
    return float(after.user - before.user + after.system - before.system) / for_s


def broadcast(service: Process, crowds: list[Process], sessions: int) -> float:
    """Seconds until all have heard of new work."""
    settings = {"invite": sessions, "rounds": 1}
    order = {"model": MODEL, "how": "idle", "clients": sessions, "plan": settings}
    asked_s = float(service.ask(do="start", **order)["asked_s"])
    heard: list[float] = []
    while len(heard) < sessions:
        time.sleep(0.2)
        moments = [moment for crowd in crowds for moment in crowd.ask(tell="work")["moments"]]
        heard = [moment - asked_s for moment in moments if moment > asked_s]
    service.ask(do="stop")
    return max(heard)
