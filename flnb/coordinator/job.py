"""What a run is driven with: its plan, its people, and the version that it goes on from."""

from __future__ import annotations

from dataclasses import dataclass

from flnb.coordinator.closer import Version
from flnb.coordinator.population import Population
from flnb.coordinator.replaying import Replay
from flnb.core.messages import Segment
from flnb.core.plan import Plan
from flnb.core.ports import Participants
from flnb.store import RunRecord
from flnb.strategies import Strategy
from flnb.tensors import Shelf


class Outset:
    """The version that a run goes on from; held until it is taken, or it would take up memory.

    Args:
        version: The last durable version, or the first one.
        shelf: Where large versions lie, this one and all after it.
    """

    def __init__(self, version: Version, shelf: Shelf) -> None:
        self.round, self.shelf = version.round, shelf
        self._version: Version | None = version

    def take(self) -> Version:
        """Hand the version over; once."""
        version, self._version = self._version, None
        assert version is not None, "a run goes on once from a version"
        return version


@dataclass(frozen=True, slots=True)
class Job:
    """Everything a run needs to go, and where it goes on from."""

    record: RunRecord
    plan: Plan
    strategy: Strategy
    population: Population
    start: Outset
    failed: dict[int, int]
    """Round to attempts that failed."""
    line: tuple[Segment, ...] = ()
    """What leads to that version and on from there."""
    closed: int = 0
    """The last round that was closed when it goes on; those after its version are done again."""
    replay: Replay | None = None
    """Does rounds again from kept updates, in the place of clients."""

    @property
    def participants(self) -> Participants:
        """Who does the work."""
        return self.replay or self.population.engine
