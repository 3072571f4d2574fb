"""REST beside a running federation: fifty requests a second, each sent when it is due.

Somebody else's federation: `python -m benchmarks.service_rest URL TOKEN RUN SECONDS`.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np

from benchmarks.processes import tell
from benchmarks.rows import Row
from benchmarks.service_federation import Federation, federation

A_SECOND, SECONDS = 50, 30
EPOCHS = 100
_WARM_UP = 100


def rows() -> Iterator[Row]:
    """Measure from when a request was due to the last byte of its answer."""
    with federation(EPOCHS) as busy:
        took_s, failed = asyncio.run(_asked(busy, SECONDS))
    p50, p95, p99 = np.percentile(np.array(took_s) * 1000, (50, 95, 99))
    name = f"REST, {A_SECOND} requests a second beside a federation"
    yield Row.of(f"{name}: p95", [p95], "ms", bar="<= 25")
    yield Row.of(f"{name}: median", [p50], "ms")
    yield Row.of(f"{name}: p99", [p99], "ms")
    yield Row.of(f"{name}: not answered by 200", [failed], "", bar="<= 0")


async def _asked(busy: Federation, seconds: int) -> tuple[list[float], int]:
    paths = (
        "/api/runs",
        f"/api/runs/{busy.run}",
        f"/api/rounds?run={busy.run}&limit=20",
        "/api/metrics/summary",
        "/api/health",
    )
    took_s, failed = list[float](), 0
    headers = {"Authorization": f"Bearer {busy.token}"}
    async with httpx.AsyncClient(base_url=busy.url, headers=headers, timeout=30) as client:

        async def ask(number: int, due_s: float) -> None:
            nonlocal failed
            try:
                answer = await client.get(paths[number % len(paths)])
                failed += answer.status_code != 200
            except httpx.TimeoutException:  # how long it waited counts, too
                failed += 1
            if number >= _WARM_UP:
                took_s.append(time.perf_counter() - due_s)

        began_s = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for number in range(_WARM_UP + A_SECOND * seconds):
                due_s = began_s + number / A_SECOND
                await asyncio.sleep(max(0.0, due_s - time.perf_counter()))
                group.create_task(ask(number, due_s))
    return took_s, failed


def main(url: str, token: str, run: str, seconds: str) -> None:
    """Ask, then say how long each answer took."""
    took_s, failed = asyncio.run(_asked(Federation(url, token, run, Path()), int(seconds)))
    tell(took_s=took_s, failed=failed)


if __name__ == "__main__":
    main(*sys.argv[1:])
