"""How the studies of a lab stand: their rows, looked at every few seconds by the feed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from flnb.core.clock import SYSTEM_CLOCK
from flnb.store import StudyCell, StudyRecord

if TYPE_CHECKING:
    from flnb.coordinator import Lab

LOOK_S = 2.0
_MOST = 20


@dataclass(frozen=True, slots=True)
class StudyNow:
    """A study at one moment."""

    record: StudyRecord
    cells: tuple[StudyCell, ...]
    """Those that it asks for, in their order."""

    @property
    def name(self) -> str:
        """Of the study."""
        return self.record.name


class StudyWatch:
    """Reads the newest studies of a lab from its state database.

    Args:
        lab: None where it lies elsewhere: a coordinator tells nothing of studies.
    """

    def __init__(self, lab: Lab | None) -> None:
        self._lab = lab
        self._known: tuple[StudyNow, ...] = ()
        self._looked_s = -LOOK_S

    def look(self) -> tuple[StudyNow, ...]:
        """How they stand, or stood a moment ago; blocks for as long as a database takes."""
        now_s = SYSTEM_CLOCK.monotonic_s()
        if self._lab is None or now_s - self._looked_s < LOOK_S:
            return self._known
        self._looked_s, state = now_s, self._lab.store.state
        self._known = tuple(
            StudyNow(record, tuple(one for one in state.study_cells(record.name) if one.asked))
            for record in state.studies()[:_MOST]
        )
        return self._known
