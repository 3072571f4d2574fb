"""History on the local disk: heads that move, resumes, commits, and a run of 10,000 commits."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks import history_commits, history_many, history_moves
from benchmarks.rows import Row

PARTS = (history_moves, history_commits, history_many)


def rows() -> Iterator[Row]:
    """Measure every figure of this group."""
    for part in PARTS:
        yield from part.rows()
