"""What the rooms say to each other: work for a cohort, and what comes back.

Facts about many clients are columns (one array per fact, one entry per client), so that a
simulated cohort of a thousand costs one message and not a thousand.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

import numpy as np
from jaxtyping import Float64, Int64, UInt8

from flnb.core.ids import ClientId, RunId
from flnb.core.plan import Local


class Outcome(IntEnum):
    """What became of one assignment."""

    PENDING = 0
    """Handed out, no answer yet."""
    ACCEPTED = 1
    """The update was usable and counts."""
    REFUSED = 2
    """An answer came and must not be used: not finite, wrong shape, stale …"""
    FAILED = 3
    """The client's task raised; its traceback is kept."""
    LOST = 4
    """The client dropped out."""
    LATE = 5
    """No answer before the round closed."""


@dataclass(frozen=True, slots=True)
class ClientHalf:
    """The half of a strategy that runs at a client: named, never shipped as code."""

    entry: str
    """`package.module:function`, a `flnb.training.LocalTraining`."""
    local: Local


@dataclass(frozen=True, slots=True)
class Segment:
    """Rounds of one generation that lead to a head: those with `after` < round ≤ `last`."""

    run: RunId
    """Identity of the branch."""
    generation: int
    after: int
    last: int | None
    """None is open: this generation goes on."""

    def __contains__(self, round_: object) -> bool:
        """Whether a round of this number belongs to it."""
        if not isinstance(round_, int):
            return False
        return self.after < round_ and (self.last is None or round_ <= self.last)


@dataclass(frozen=True, slots=True)
class Work:
    """One stage of one cohort, as handed to the participants."""

    run: RunId
    seed: int
    """The plan's public seed; every random choice of a client is derived from it by name."""
    round: int
    attempt: int
    """0, and one more for each time this round failed for want of updates."""
    stage: str
    clients: tuple[ClientId, ...]
    """One a row; reports refer to clients by row."""
    half: ClientHalf
    weighting: str
    """`examples` (McMahan et al.) or `equal`."""
    generation: int = 1
    """Of the run's branch; raised when the run is rolled back."""
    federated: bool = False
    """Measure the received model on the client's own data before training."""
    deadline_s: float | None = None
    line: tuple[Segment, ...] = ()
    """What leads to the version, oldest first; empty is this generation alone."""
    keep_updates: bool = False
    """Hand over each accepted update too, and not the sum alone."""


@dataclass(frozen=True, slots=True)
class MetricSum:
    """A metric that knows how to aggregate: numerator and denominator."""

    total: float
    count: float

    @property
    def value(self) -> float:
        """The mean; NaN when nothing was counted."""
        return self.total / self.count if self.count else math.nan

    @classmethod
    def added(cls, totals: Collection[float], counts: Collection[float]) -> MetricSum:
        """Add up what several measured, exactly, so that their order cannot matter.

        Args:
            totals: Numerators. Infinite ones of both signs make NaN, as in floating point.
            counts: Denominators.
        """
        return cls(_added(totals), _added(counts))


@dataclass(frozen=True, slots=True)
class CohortReport:
    """What part of a cohort did: one entry per client in every column, and one sum for all.

    `sums` holds exactly the rows whose outcome is ACCEPTED, and what was in it if it was given to
    `collect`. A row is reported once. Lost clients
    are reported too (outcome LOST): a simulated one drops by its seed, a remote one by its lease.
    """

    rows: Int64[np.ndarray, " n"]
    outcome: UInt8[np.ndarray, " n"]
    n_examples: Int64[np.ndarray, " n"]
    arrived_s: Float64[np.ndarray, " n"]
    """Seconds from assignment to answer: simulated latency, or measured for remote clients."""
    train_s: Float64[np.ndarray, " n"]
    """Seconds of work that were really spent."""
    loss: Float64[np.ndarray, " n"]
    """Mean training loss over the client's steps; NaN where there is none."""
    norm: Float64[np.ndarray, " n"]
    """L2 norm of the update; NaN where there is none."""
    reasons: Mapping[int, str] = field(default_factory=dict)
    """Row to why it was refused, or to the traceback of its failure."""
    metrics: Mapping[str, tuple[Float64[np.ndarray, " n"], Float64[np.ndarray, " n"]]] = field(
        default_factory=dict
    )
    """Federated evaluation: metric name to (numerators, denominators)."""
    sums: Any = None
    """A `flnb.tensors.CohortSum` over the accepted rows; None when there are none."""
    updates: tuple[Any, ...] = ()
    """The `flnb.tensors.Update` of each accepted row, in the order of `rows`, if the work asks for
    them. Whoever hands them over may report fewer rows at once, so that they fit into memory."""


@dataclass(frozen=True, slots=True)
class TaskSummary:
    """What a plan check needs to know of a task, without torch."""

    name: str
    n_parameters: int
    n_buffer_values: int
    model_bytes: int
    """Bytes of one copy of the model on the wire: parameters and buffers."""
    client_examples: Mapping[ClientId, int]
    n_test_examples: int
    errors: tuple[str, ...] = ()
    """What cannot work: why the loss of a first batch could not be computed."""
    warnings: tuple[str, ...] = ()
    """What looks wrong in the task itself: batch norm, tied weights, no test data …"""
    metrics: tuple[str, ...] = ()
    """What is measured on held-out data, beside the loss."""


def _added(values: Collection[float]) -> float:
    try:
        return math.fsum(values)
    except (ValueError, OverflowError):  # infinities of both signs; a sum beyond float64
        return sum(map(float, values))
