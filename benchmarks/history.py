"""History on the local disk: heads that move, resumes, commits, a run of 10,000 commits; and in S3."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks import history_commits, history_many, history_moves, history_s3
from benchmarks.rows import Row

PARTS = (history_moves, history_commits, history_many, history_s3)


def rows() -> Iterator[Row]:
    """Measure every figure of this group."""
    for part in PARTS:
        yield from part.rows()
