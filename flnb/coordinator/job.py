"""What a run is driven with: its plan, its people, and the version that it goes on from."""

from __future__ import annotations

from dataclasses import dataclass

from flnb.coordinator.closer import Version
from flnb.coordinator.population import Population
from flnb.coordinator.replaying import Replay
from flnb.core.messages import Segment
from flnb.core.plan import Plan
from flnb.store import RunRecord
from flnb.strategies import Strategy


@dataclass(frozen=True, slots=True)
class Job:
    """Everything a run needs to go, and where it goes on from."""

    record: RunRecord
    plan: Plan
    strategy: Strategy
    population: Population
    start: Version
    """The last durable version, or the first one."""
    failed: dict[int, int]
    """Round to attempts that failed."""
    line: tuple[Segment, ...] = ()
    """What leads to that version and on from there."""
    replay: Replay | None = None
    """Does rounds again from kept updates, in the place of clients."""
