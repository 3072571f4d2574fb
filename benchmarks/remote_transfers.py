"""One version down, one update up: end to end, beside a bare gRPC stream of the same bytes.

Down ends when every chunk is checked and in the client's file; up when every chunk is checked, in
the spool and synced, and the client has heard so.
"""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

from benchmarks.bare_stream import Bare, bare
from benchmarks.both_sides import BYTES
from benchmarks.federation import Federation, federation
from benchmarks.rows import Row

WAYS = {"download": "down", "upload": "up"}
"""What clients call a way, and what the bare stream calls it."""


def rows(*, turns: int = 4, rounds: int = 5, model: str = "64 MB") -> Iterator[Row]:
    """Measure both ways in turns with the bare stream."""
    with federation(model, clients=1, processes=1) as here, bare(users=1) as stream:
        yield from both_ways(here, stream, turns, rounds)


def both_ways(here: Federation, stream: Bare, turns: int, rounds: int) -> Iterator[Row]:
    """Megabytes a second down and up, of every client together with the others, and bare."""
    ours: dict[str, list[list[float]]] = {way: [] for way in WAYS}
    wire: dict[str, list[list[float]]] = {way: [] for way in WAYS}
    n_bytes = BYTES[here.model]
    for _ in range(turns):
        here.transfers()
        here.run("drift", rounds=rounds)
        heard = here.transfers()
        for way, bare_way in WAYS.items():
            speeds = [one["n_bytes"] / one["seconds"] / 1e6 for one in heard if one["kind"] == way]
            ours[way].append(speeds[1:])  # the first of a run makes its buffers
            took_s = [stream.seconds(bare_way, n_bytes) for _ in range(rounds)]
            wire[way].append([n_bytes / one / 1e6 for one in took_s[1:]])
    for way in WAYS:
        yield from _beside(f"{way}, {here.model}, end to end", ours[way], wire[way])


def _beside(name: str, ours: list[list[float]], wire: list[list[float]]) -> Iterator[Row]:
    all_ours, all_wire = (
        [one for turn in ours for one in turn],
        [one for turn in wire for one in turn],
    )
    yield Row.of(name, all_ours, "MB/s", peer="bare gRPC stream", peer_values=all_wire)
    shares = [median(mine) / median(other) for mine, other in zip(ours, wire, strict=True)]
    yield Row.of(f"{name}: median over median of a turn", shares, "times", bar=">= 0.8")
