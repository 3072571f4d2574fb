"""The main job: starting, rounds and what they cost, sums, the machine, and rounds beside pfl."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks import endurance, first_round, machine, overhead, sums, workloads
from benchmarks.rows import Row
from benchmarks.timing import import_cost


def rows() -> Iterator[Row]:
    """Measure every figure of this group."""
    yield imports()
    for part in (first_round, overhead, endurance, sums, machine, workloads):
        yield from part.rows()


def imports() -> Row:
    """Import flnb, beyond what a bare Python costs."""
    ours, bare = import_cost("flnb", times=9)
    return Row.of("import flnb", ours, "s CPU", peer="bare Python", peer_values=bare, bar="<= 0.3")
