"""The pages that people look at: how soon, how much, and what it costs the run."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks import pages_first, pages_live, pages_slowing
from benchmarks.rows import Row


def rows() -> Iterator[Row]:
    """Measure every figure of this group."""
    for part in (pages_live, pages_slowing, pages_first):
        yield from part.rows()
