"""Events to five hundred WebSocket clients: each round, in order, to each of them, and how late.

Late is from the moment that a round's closing names, before it is written, to when a listener has read it;
so the commit is part of it. The listeners share the machine with coordinator and service.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np

from benchmarks.processes import Process
from benchmarks.rows import Row
from benchmarks.service_federation import federation

LISTENERS, SECONDS, EPOCHS = 500, 30, 100


def rows() -> Iterator[Row]:
    """Measure with all of them, and beside it with one."""
    alone_ms, _ = measured(1, 10)
    late_ms, complete = measured(LISTENERS, SECONDS)
    name = f"events to {LISTENERS} listeners"
    p95, alone = np.percentile(late_ms, 95), np.percentile(alone_ms, 95)
    yield Row.of(
        f"{name}: p95 from the closing", [p95], "ms", peer="one", peer_values=[alone], bar="<= 250"
    )
    yield Row.of(f"{name}: median", [float(np.median(late_ms))], "ms")
    yield Row.of(f"{name}: that heard each round, in order", [complete], "", bar=f">= {LISTENERS}")


def measured(count: int, seconds: int) -> tuple[np.ndarray, int]:
    """How late events were, in milliseconds, and how many listeners missed none."""
    with federation(EPOCHS) as busy:
        url = busy.url.replace("http", "ws", 1) + "/ws/events"
        with Process("benchmarks.service_listeners", url, busy.token, str(count)) as listeners:
            listeners.hear()
            listeners.say(begin=True)
            time.sleep(seconds)
            listeners.say(end=True)
            heard = listeners.hear()
    complete = 0
    most = max(heard["rounds"], key=len)
    for rounds in heard["rounds"]:
        # One may have read the last round, or the first, and another not yet.
        whole = rounds == list(range(rounds[0], rounds[-1] + 1)) if rounds else False
        complete += whole and len(most) - len(rounds) <= 1
    return np.array(heard["late_s"]) * 1000, complete
