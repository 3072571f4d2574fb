"""The service for people's programs: REST and events beside a running federation."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks import service_events, service_kernel, service_rest
from benchmarks.rows import Row


def rows() -> Iterator[Row]:
    """Measure every figure of this group."""
    for part in (service_rest, service_events, service_kernel):
        yield from part.rows()
