"""What the tables of `lab.sql` are made of: all of a lab's state, or what a guest has of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Protocol

from flnb.core import RunId
from flnb.store.records import ClientRecord, Closing, Forgotten, Operation, RunRecord
from flnb.store.state import StateStore
from flnb.store.study_records import Outcome, StudyCell, StudyRecord


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

    def studies(self) -> list[StudyRecord]:
        """Studies."""
        ...

    def study_outcomes(self) -> Mapping[str, Mapping[Outcome, tuple[object, ...]]]:
        """How the cells of each study stand, and what changes besides with every one of them."""
        ...

    def study_cells(self, study: str) -> list[StudyCell]:
        """Cells of a study."""
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
        self._told, self._looked = -1, 0
        """Places of the newest operation that was handed out, and of the newest of the lab by then."""
        self._known = frozenset[RunId]()
        """Runs of which all was handed out up to there."""

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

    def studies(self) -> list[StudyRecord]:
        """None: whoever executes them writes their cells, and looks at them."""
        return []

    def study_outcomes(self) -> Mapping[str, Mapping[Outcome, tuple[object, ...]]]:
        """None, as there is no study."""
        return {}

    def study_cells(self, study: str) -> list[StudyCell]:
        """None."""
        return []

    def operations_after(self, position: int) -> list[tuple[int, Operation]]:
        """What was done to its runs after a place of the log; what it was told before costs nothing.

        Args:
            position: Of the newest operation that the caller has; what was done to a run before the
                guest took it comes once, whatever its place.
        """
        mine = frozenset(run.id for run in self.runs())
        if position != self._told:  # begins anew, or could not write what it was told
            self._looked, self._known = position, mine
        with self._state.at_one_moment():
            newest, _ = self._state.log_head()
            found = self._state.operations_after(self._looked, mine)
            if come := mine - self._known:
                before = self._state.operations_after(0, come)
                found = [one for one in before if one[0] <= self._looked] + found
        self._looked, self._known = newest, mine
        self._told = max(position, *(place for place, _ in found), 0)
        return found

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
