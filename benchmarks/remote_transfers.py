"""One version down, one update up: end to end, beside a bare gRPC stream of the same bytes.

Down ends when every chunk is checked and in the client's file; up when every chunk is checked, in
the spool and synced, and the client has heard so.
"""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

from benchmarks.bare_stream import bare
from benchmarks.both_sides import BYTES
from benchmarks.federation import federation
from benchmarks.rows import Row


def rows(*, turns: int = 4, rounds: int = 5, model: str = "64 MB") -> Iterator[Row]:
    """Measure both ways in turns with the bare stream."""
    ways = {"download": "down", "upload": "up"}
    ours: dict[str, list[list[float]]] = {way: [] for way in ways}
    wire: dict[str, list[list[float]]] = {way: [] for way in ways}
    n_bytes = BYTES[model]
    with federation(model, clients=1, processes=1) as here, bare(users=1) as stream:
        for _ in range(turns):
            here.run("drift", rounds=rounds)
            heard = here.transfers(rounds)
            for way in ways:
                # The first of a run makes its buffers.
                ours[way].append([size / took_s / 1e6 for took_s, size in heard[way][1:]])
                took_s = [stream.seconds(ways[way], n_bytes) for _ in range(rounds)]
                wire[way].append([n_bytes / one / 1e6 for one in took_s[1:]])
    for way in ways:
        yield from _beside(f"{way}, {model}, end to end", ours[way], wire[way])


def _beside(name: str, ours: list[list[float]], wire: list[list[float]]) -> Iterator[Row]:
    all_ours, all_wire = (
        [one for turn in ours for one in turn],
        [one for turn in wire for one in turn],
    )
    yield Row.of(name, all_ours, "MB/s", peer="bare gRPC stream", peer_values=all_wire)
    shares = [median(mine) / median(other) for mine, other in zip(ours, wire, strict=True)]
    yield Row.of(f"{name}: median over median of a turn", shares, "times", bar=">= 0.8")
