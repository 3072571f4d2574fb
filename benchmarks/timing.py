"""How a figure is measured: ours and the peer in turns, so that a busy moment meets both."""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from collections.abc import Callable


def alternate(
    ours: Callable[[], float], peer: Callable[[], float], *, times: int
) -> tuple[list[float], list[float]]:
    """Measure two things in turns.

    Args:
        ours: Runs once and returns its figure.
        peer: The same for what ours is compared with.
        times: How often each runs, after one run that does not count.
    """
    ours(), peer()
    pairs = [(ours(), peer()) for _ in range(times)]
    return [pair[0] for pair in pairs], [pair[1] for pair in pairs]


def seconds(action: Callable[[], object]) -> float:
    """Wall-clock seconds of one call."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def cpu_seconds(program: str) -> float:
    """Seconds of processor time, user and system, of a new Python that runs `program`."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", program], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def import_cost(module: str, *, times: int) -> tuple[list[float], list[float]]:
    """What `import module` costs beyond a bare Python, in seconds of processor time.

    Returns:
        The cost of each try (with the bare start already taken off), and each bare start.
    """
    whole, bare = alternate(
        lambda: cpu_seconds(f"import {module}"), lambda: cpu_seconds("pass"), times=times
    )
    return [max(0.0, total - min(bare)) for total in whole], bare
