"""First content in a browser that has nothing of a page: with fifty clients, with a thousand and 5,000 rounds.

And what fifty pages that were opened and closed leave in the server.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from benchmarks.pages_browser import browser, first_content_s
from benchmarks.pages_many import CLIENTS, ROUNDS, served, written
from benchmarks.pages_server import PATH, server
from benchmarks.rows import Row
from benchmarks.service_federation import federation

CYCLES, _WARM_UP = 50, 10
LOOKS: Mapping[str, str] = {"Rounds": PATH, "Clients": "clients?run=busy"}


def rows(rounds: int = ROUNDS, clients: int = CLIENTS, *, cycles: int = CYCLES) -> Iterator[Row]:
    """Look at a run of today's size, open and close pages of it, then look at a large one."""
    with federation(1, pause_s=0.9, commit_every=1) as busy:
        yield from looks(busy.lab, "50 clients", "<= 4")
        yield from opened_and_closed(busy.lab, cycles)
    with tempfile.TemporaryDirectory(prefix="flnb-bench-", dir=_memory()) as folder:
        lab = Path(folder) / "lab"
        written(lab, rounds, clients)
        with served(lab):
            yield from looks(lab, f"{clients:,} clients, {rounds:,} rounds", "<= 6")


def _memory() -> str | None:
    """Where files are in memory: writing the large run is not what is measured."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


def looks(lab: Path, size: str, bar: str, times: int = 3) -> Iterator[Row]:
    """Look at each page some times; the first of all is of a server that nobody asked before."""
    with browser() as chromium, server(lab) as pages:
        for title, path in LOOKS.items():
            took_s = [first_content_s(chromium, pages, path) for _ in range(times)]
            yield Row.of(f"{title}, {size}: first content", took_s, "s", bar=bar)
            yield Row.of(f"{title}, {size}: slowest", [max(took_s)], "s")


def opened_and_closed(lab: Path, cycles: int) -> Iterator[Row]:
    """Memory and threads that are left."""
    with server(lab) as pages:
        pages.sessions.ask(do="cycle", times=_WARM_UP, path=PATH)
        memory_mb, threads = pages.settled()
        pages.sessions.ask(do="cycle", times=cycles, path=PATH)
        later_mb, later = pages.settled()
    name = f"{cycles} pages opened and closed"
    yield Row.of(f"{name}: memory left", [later_mb - memory_mb], "MB", bar="<= 100")
    yield Row.of(f"{name}: threads left", [later - threads], "", bar="<= 0")
