"""How the studies of a lab stand: looked at every few seconds by the feed, wherever the lab lies."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import TYPE_CHECKING

from flnb.core.clock import SYSTEM_CLOCK
from flnb.core.errors import FLBaseError
from flnb.store import StudyCell, StudyRecord, viewed

if TYPE_CHECKING:
    from flnb.coordinator.control.afar_studies import DistantStudies
    from flnb.dashboards.sources import Source
    from flnb.store import StateStore

log = logging.getLogger(__name__)

LOOK_S = 2.0
MOST = 20
"""The newest ones; older ones are found with SQL."""


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

    @property
    def viewed(self) -> StudyNow:
        """As viewers see it."""
        notebook = PurePath(self.record.notebook).name
        record = replace(self.record, notebook=notebook, asked_for={}, code=())
        return StudyNow(record, tuple(viewed(cell) for cell in self.cells))


class StudyWatch:
    """Looks at the newest studies, now and then."""

    def __init__(self) -> None:
        self._known: tuple[StudyNow, ...] = ()
        self._looked_s = -LOOK_S
        self._failing = False

    def look(self, source: Source) -> tuple[StudyNow, ...]:
        """How they stand, or stood when they could last be had: runs are shown without them, too.

        Blocks for as long as a database or a coordinator takes.

        Args:
            source: Whom to ask.
        """
        now_s = SYSTEM_CLOCK.monotonic_s()
        if now_s - self._looked_s < LOOK_S:
            return self._known
        self._looked_s = now_s  # also of a look that fails: the next one is as far off
        try:
            self._known, self._failing = source.studies(), False
        except FLBaseError as error:
            if not self._failing:  # once, and not every time
                log.warning("studies cannot be had now: %s", error.message)
            self._failing = True
        return self._known


def studies_in(state: StateStore) -> tuple[StudyNow, ...]:
    """As the state database of a lab has them."""
    return tuple(
        StudyNow(record, tuple(one for one in state.study_cells(record.name) if one.asked))
        for record in state.studies()[:MOST]
    )


class StudiesAfar:
    """As a coordinator tells them: cells are asked for when something became of one.

    Args:
        studies: Asks it.
    """

    def __init__(self, studies: DistantStudies) -> None:
        self._studies = studies
        self._known: Mapping[str, tuple[str, StudyNow]] = {}

    def look(self) -> tuple[StudyNow, ...]:
        """How they stand.

        Raises:
            FLBaseError: The coordinator refuses, or cannot be reached.
        """
        told = {}
        for one in self._studies.newest(MOST):
            known = self._known.get(one.name)
            if known is None or known[0] != one.version:
                known = one.version, StudyNow(one.record, self._studies.cells(one.name))
            told[one.name] = known
        self._known = told
        return tuple(study for _, study in told.values())
