"""A server of pages beside a coordinator, and what it takes, for whoever measures the pages."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

from benchmarks.processes import Process

PATH = "rounds?run=busy"
"""The page that moves most."""
_SETTLED_S = 25.0
"""A session that nobody listens to is let go after 15 seconds, looked for every five."""


@dataclass(frozen=True, slots=True)
class Server:
    """A running server of pages."""

    address: str
    cookie: dict[str, str]
    """That signs a browser in, as Playwright takes it."""
    process: psutil.Process
    sessions: Process

    def processor_s(self) -> float:
        """Seconds of processor time that it took until now."""
        times = self.process.cpu_times()
        return float(times.user + times.system)

    def memory_mb(self) -> float:
        """What it holds of memory."""
        return float(self.process.memory_info().rss / 1e6)

    def settled(self) -> tuple[float, int]:
        """Memory and threads once nobody's sessions are left."""
        time.sleep(_SETTLED_S)
        return self.memory_mb(), self.process.num_threads()


@contextlib.contextmanager
def server(lab: Path) -> Iterator[Server]:
    """Serve the pages of a lab as `flnb ui` does, as long as a with-block lasts."""
    with Process("flnb.dashboards", str(lab), "--until-eof") as pages:
        told = pages.hear()
        address = told["address"]
        stay = httpx.get(f"{address}sign-in", params={"ticket": told["ticket"]}).cookies
        ((name, value),) = stay.items()
        with Process("benchmarks.pages_sessions", address, name, value) as sessions:
            sessions.hear()
            cookie = {"name": name, "value": value, "url": address}
            yield Server(address, cookie, psutil.Process(pages.pid), sessions)
