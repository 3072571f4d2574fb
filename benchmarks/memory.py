"""What a family of processes holds in memory, and the most that it held for a while.

Counted are private pages and shared memory, a shared page once (`Pss_Anon` and `Pss_Shmem` of
`/proc/PID/smaps_rollup`). Not counted are pages of files, such as updates that are mapped from the
spool: the kernel takes those back whenever somebody needs the room.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import psutil

SHARED = "Pss_Shmem:"
_COUNTED = ("Pss_Anon:", SHARED)


class Peak:
    """The most that was seen."""

    def __init__(self) -> None:
        self.megabytes = 0.0


def held_mb(pid: int, counted: Sequence[str] = _COUNTED) -> float:
    """Megabytes that a process and all that it started hold now."""
    family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    return sum(_of_one(process.pid, counted) for process in family) / 1e6


@contextlib.contextmanager
def watched(pid: int, every_s: float = 0.02, counted: Sequence[str] = _COUNTED) -> Iterator[Peak]:
    """Look at a process and all that it started, again and again, until the block ends."""
    peak, over = Peak(), threading.Event()

    def watch() -> None:
        while not over.wait(every_s):
            peak.megabytes = max(peak.megabytes, held_mb(pid, counted))

    watching = threading.Thread(target=watch, name="benchmark-memory")
    watching.start()
    try:
        yield peak
    finally:
        over.set()
        watching.join()


def _of_one(pid: int, counted: Sequence[str]) -> int:
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):  # it has just ended
        return 0
    lines = (line.split() for line in text.splitlines())
    return sum(1024 * int(line[1]) for line in lines if line[0] in counted)
