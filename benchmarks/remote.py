"""Remote clients: rounds, transfers, memory, crowds of sessions, pressure, and bits.

The coordinator is a process of its own, and so are its clients; all of it goes over loopback, and
the lab is on the disk. One file a part.
"""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks import (
    remote_bits,
    remote_idle,
    remote_memory,
    remote_pressure,
    remote_rounds,
    remote_transfers,
)
from benchmarks.rows import Row

PARTS = (
    remote_rounds,
    remote_transfers,
    remote_memory,
    remote_pressure,
    remote_idle,
    remote_bits,
)


def rows() -> Iterator[Row]:
    """Measure every figure of this group."""
    for part in PARTS:
        yield from part.rows()
