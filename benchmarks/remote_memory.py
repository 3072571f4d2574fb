"""What the coordinator holds in a round with a model of 64 MB: it does not grow with the clients.

Counted is the most that the coordinator's processes hold during a run, beyond the most that they
hold in the same run with a model of 31 kB, in models; `memory.py` says which pages. The version,
the exact sum (two models: 64 bits a value) and the next version are there in any round.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from benchmarks.both_sides import BYTES
from benchmarks.federation import Federation, federation
from benchmarks.memory import watched
from benchmarks.rows import Row


def rows(
    *, clients: Sequence[int] = (2, 8, 32), rounds: int = 3, model: str = "64 MB"
) -> Iterator[Row]:
    """Measure the peak of a run with each number of clients."""
    base_mb = peak_mb("small", clients[0], rounds)
    peaks = []
    for n in clients:
        peaks.append((peak_mb(model, n, rounds) - base_mb) / (BYTES[model] / 1e6))
        name = f"coordinator, {model} model, {n} clients: peak over that of a 31 kB model"
        yield Row.of(name, [peaks[-1]], "models", bar="<= 3")
    name = f"coordinator, {model} model: {clients[-1]} clients over {clients[0]}"
    yield Row.of(name, [peaks[-1] / peaks[0]], "times", bar="<= 1.25")


def peak_mb(model: str, clients: int, rounds: int) -> float:
    """The most that a coordinator's processes hold, with so many clients."""
    with federation(model, clients, processes=min(clients, 4)) as here:
        return peak_of_run(here, rounds)


def peak_of_run(here: Federation, rounds: int) -> float:
    """The most that the coordinator's processes hold during a run, in megabytes."""
    with watched(here.service.pid) as peak:
        here.run("drift", rounds=rounds)
    return peak.megabytes
