"""What the machine remembers between two steps: immutable, small, and printable."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Int64, UInt8

from flnb.core.ids import ClientId
from flnb.core.messages import Outcome
from flnb.core.view import Phase, Status
from flnb.rounds.column import Column

N_OUTCOMES = len(Outcome)


@dataclass(frozen=True, slots=True)
class Stage:
    """One step of a strategy's protocol; all survivors of a stage enter the next together."""

    name: str
    need: int
    """Usable answers without which the attempt fails."""
    folds: bool = True
    """Whether this stage's payloads make the new version (in secure aggregation only one does)."""


@dataclass(frozen=True, slots=True)
class Synchronous:
    """Close a round when its cohort is through.

    Source: McMahan et al. 2017 (FedAvg); Bonawitz et al. 2019 §3.2 for quorum and deadline.
    """

    invite: int | None
    """Cohort size to ask the sampler for; None leaves it to the plan."""
    on_quorum: bool = False
    """Close as soon as the stage's need is met, instead of waiting for everybody."""
    deadline_s: float | None = None


@dataclass(frozen=True, slots=True)
class Buffered:
    """Close a version whenever K updates are in, whatever they started from.

    Source: Nguyen et al. 2022 (FedBuff), Algorithm 1.
    """

    size: int
    concurrency: int
    max_staleness: int


CloseRule = Synchronous | Buffered


@dataclass(frozen=True, slots=True)
class Wave:
    """Assignments that were made together: one base version, one stage."""

    id: int
    base: int
    clients: tuple[ClientId, ...]
    stage: int
    outcomes: Column
    counts: tuple[int, ...]
    """Rows by `Outcome`; always agrees with `outcomes`."""

    @classmethod
    def of(cls, wave_id: int, base: int, clients: tuple[ClientId, ...]) -> Wave:
        """A fresh wave: everybody is pending at the first stage."""
        counts = (len(clients),) + (0,) * (N_OUTCOMES - 1)
        return cls(wave_id, base, clients, 0, Column.filled(len(clients), Outcome.PENDING), counts)

    @property
    def pending(self) -> int:
        """Rows without an answer."""
        return self.counts[Outcome.PENDING]

    @property
    def accepted(self) -> int:
        """Rows whose answer to the present stage counts."""
        return self.counts[Outcome.ACCEPTED]

    def settle(
        self, rows: Int64[np.ndarray, " n"], outcomes: UInt8[np.ndarray, " n"] | Outcome
    ) -> Wave:
        """Move pending rows to their outcomes."""
        counts = list(self.counts)
        counts[Outcome.PENDING] -= len(rows)
        if isinstance(outcomes, Outcome):
            counts[outcomes] += len(rows)
            column = self.outcomes.set(rows, int(outcomes))
        else:
            for outcome, n in enumerate(np.bincount(outcomes, minlength=N_OUTCOMES).tolist()):
                counts[outcome] += n
            column = self.outcomes.set(rows, outcomes)
        return replace(self, outcomes=column, counts=tuple(counts))

    def next_stage(self) -> Wave:
        """Survivors become pending again, one stage on."""
        survivors = self.outcomes.where(Outcome.ACCEPTED)
        counts = list(self.counts)
        counts[Outcome.PENDING], counts[Outcome.ACCEPTED] = len(survivors), 0
        column = self.outcomes.set(survivors, int(Outcome.PENDING))
        return replace(self, stage=self.stage + 1, outcomes=column, counts=tuple(counts))

    def tally(self) -> dict[str, int]:
        """Rows by the name of their outcome."""
        return {outcome.name.lower(): self.counts[outcome] for outcome in Outcome}


@dataclass(frozen=True, slots=True)
class RoundsState:
    """Everything the machine knows about a run."""

    stages: tuple[Stage, ...]
    rule: CloseRule
    rounds: int
    """Rounds (versions) after which the run is finished."""
    status: Status = Status.RUNNING
    phase: Phase = Phase.WAITING
    version: int = 0
    """The head: how many rounds have closed."""
    attempt: int = 0
    """Attempts of the open round that failed before this one."""
    failed: Mapping[int, int] = field(default_factory=dict)
    """Round to attempts that failed, from before a restart: rounds that are run again must take
    the names, and so the cohorts, that they had."""
    generation: int = 1
    """Raised when the head is moved; answers of an earlier generation are stale."""
    waves: Mapping[int, Wave] = field(default_factory=dict)
    busy: int = 0
    """Assignments without an answer, over all waves."""
    next_wave: int = 0
    drawing: int = 0
    """Clients that were asked of the sampler and not named yet; 1 when the plan says how many."""
    buffered: int = 0
    """Accepted updates that no version contains yet (buffered rule)."""

    @property
    def round(self) -> int:
        """The open round, counted from 1."""
        return self.version + 1

    def with_wave(self, wave: Wave) -> RoundsState:
        """Put a wave in, or replace it."""
        old = self.waves.get(wave.id)
        busy = self.busy + wave.pending - (old.pending if old else 0)
        return replace(self, waves={**self.waves, wave.id: wave}, busy=busy)

    def without_wave(self, wave_id: int) -> RoundsState:
        """Forget a wave."""
        waves = dict(self.waves)
        return replace(self, busy=self.busy - waves.pop(wave_id).pending, waves=waves)

    def without_waves(self) -> RoundsState:
        """Forget every assignment under way."""
        return replace(self, waves={}, busy=0, drawing=0, buffered=0)
