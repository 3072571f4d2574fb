"""What the coordinator holds in a round with a model of 64 MB: it does not grow with the clients.

Counted is what the coordinator's processes hold beyond what they held before the run, in models;
`memory.py` says which pages. The version, the exact sum (two models: 64 bits a value) and the next
version are there in any round.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from benchmarks.both_sides import BYTES
from benchmarks.federation import federation
from benchmarks.memory import held_mb, watched
from benchmarks.rows import Row


def rows(
    *, clients: Sequence[int] = (2, 8, 32), rounds: int = 3, model: str = "64 MB"
) -> Iterator[Row]:
    """Measure the peak of a run with each number of clients."""
    peaks = []
    for n in clients:
        with federation(model, n, processes=min(n, 4)) as here:
            before_mb = held_mb(here.service.pid)
            with watched(here.service.pid) as peak:
                here.run("drift", rounds=rounds)
        peaks.append((peak.megabytes - before_mb) / (BYTES[model] / 1e6))
        name = f"coordinator, {model} model, {n} clients: peak over before the run"
        yield Row.of(name, [peaks[-1]], "models", bar="<= 3")
    name = f"coordinator, {model} model: {clients[-1]} clients over {clients[0]}"
    yield Row.of(name, [peaks[-1] / peaks[0]], "times", bar="<= 1.25")
