"""What the tables of `lab.sql` are made of: all of a lab's state, or what a guest has of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from flnb.core import RunId
from flnb.store.records import ClientRecord, Closing, Forgotten, Operation, RunRecord
from flnb.store.state import StateStore


class Rows(Protocol):
    """The rows that tables are made of; `StateStore` has those of the whole lab."""

    @property
    def lab_id(self) -> str:
        """Identity of the lab."""
        ...

    def runs(self) -> list[RunRecord]:
        """Runs, newest first."""
        ...

    def clients(self) -> list[ClientRecord]:
        """Clients that have joined."""
        ...

    def operations_after(self, position: int) -> list[tuple[int, Operation]]:
        """What was done after a place of the log."""
        ...

    def positions(self) -> list[int]:
        """Positions of closings, rising."""
        ...

    def closings(self, run: RunId | None = None, *, after: int = 0) -> Iterator[Closing]:
        """Closed rounds."""
        ...

    def forgotten(self) -> list[Forgotten]:
        """What was taken back of closed rounds."""
        ...


class OwnRows:
    """Rows of the runs of a guest; what others do in the lab costs it nothing.

    Args:
        state: The state of the lab.
        guest: Name of the guest.
    """

    def __init__(self, state: StateStore, guest: str) -> None:
        self._state, self._guest = state, guest

    @property
    def lab_id(self) -> str:
        """Identity of the lab."""
        return self._state.lab_id

    def runs(self) -> list[RunRecord]:
        """Its runs, newest first."""
        return self._state.runs(guest=self._guest)

    def clients(self) -> list[ClientRecord]:
        """None: clients join whoever holds the lab."""
        return []

    def operations_after(self, position: int) -> list[tuple[int, Operation]]:
        """What was done to its runs after a place of the log."""
        mine = {run.id for run in self.runs()}
        return [one for one in self._state.operations_after(position) if one[1].run in mine]

    def positions(self) -> list[int]:
        """Positions of its closings, rising."""
        return self._state.positions([run.id for run in self.runs()])

    def closings(self, run: RunId | None = None, *, after: int = 0) -> Iterator[Closing]:
        """Closed rounds of its runs, or of one of them, each in order."""
        for mine in self.runs():
            if run in (None, mine.id):
                yield from self._state.closings(mine.id, after=after)

    def forgotten(self) -> list[Forgotten]:
        """What was taken back of closed rounds."""
        return self._state.forgotten()
