"""What an engine and its workers say to each other.

Every order but `Start` has exactly one reply, and a worker has at most one order at a time; so
neither side ever waits to send while the other does. Orders carry a ticket, and replies to a
ticket that is no longer wanted are thrown away.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from flnb.core import MetricSum, Work
from flnb.engines.answers import Answers
from flnb.processes import Parcel, SharedBlock


@dataclass(frozen=True, slots=True)
class Start:
    """The first message: the task, and where the ticket stands that is wanted now."""

    task: Parcel
    live_ticket: SharedBlock


@dataclass(frozen=True, slots=True)
class VersionRef:
    """A version of the model in shared memory."""

    number: int
    """Grows with each version."""
    place: int
    """Which block it lies in."""
    block: SharedBlock | None
    """That block, unless the worker has it."""


@dataclass(frozen=True, slots=True)
class Train:
    """Train the clients in these rows; there may be none."""

    ticket: int
    rows: tuple[int, ...]
    hand_over: bool
    """Then give me the sum of all that you accepted."""
    work: tuple[Work, VersionRef] | None
    """What, and from which base, with the first order of a ticket."""


@dataclass(frozen=True, slots=True)
class Measure:
    """Measure a version on these held-out blocks."""

    ticket: int
    blocks: tuple[int, ...]
    version: VersionRef


Order: TypeAlias = Train | Measure


@dataclass(frozen=True, slots=True)
class Sums:
    """A `flnb.tensors.CohortSum` in parts, its arrays in a block of the worker."""

    meta: Mapping[str, Any]
    spans: tuple[tuple[int, int], ...]
    """(offset in bytes, number of int64 values) of each array."""
    block: SharedBlock | None
    """The block, unless it is the same as last time."""
    updates: tuple[tuple[int, int, int], ...] = ()
    """(row, offset of its values, offset of its integers) of each single update, in the same block."""


@dataclass(frozen=True, slots=True)
class Trained:
    """What the clients did."""

    answers: Answers
    sums: Sums | None


@dataclass(frozen=True, slots=True)
class Measured:
    """Measurements, in the order of the blocks asked for."""

    metrics: tuple[Mapping[str, MetricSum], ...]


@dataclass(frozen=True, slots=True)
class Trouble:
    """The worker cannot do the order: the task cannot be built in it, for instance."""

    reason: str


Content: TypeAlias = Trained | Measured | Trouble


@dataclass(frozen=True, slots=True)
class Reply:
    """What comes back for an order."""

    ticket: int
    content: Content
