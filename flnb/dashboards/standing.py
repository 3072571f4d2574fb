"""What pages read: how runs stand at one moment, and where that is known from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from flnb.core.ids import RunId
from flnb.core.view import RunView
from flnb.dashboards.shared import Made
from flnb.dashboards.study_watch import StudyNow

STALE_S = 6.0
"""After so long without news people look at the clock, and pages do."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Where what is shown comes from, and how fresh it is."""

    kind: str = "loading"
    """`live`, `store`, `offline`, or `loading` before the first answer."""
    heard_at: datetime | None = None
    """When somebody answered last."""
    last_write: datetime | None = None
    why: str = ""
    """Why nobody answers."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything a page reads, at one moment."""

    standing: Standing = Standing()
    views: Mapping[RunId, RunView] = field(default_factory=dict)
    """Newest first."""
    studies: tuple[StudyNow, ...] = ()
    """That which was asked for last first."""
    made: Made = field(default_factory=Made, compare=False, repr=False)
    """What is drawn of it."""

    def run_named(self, name: str) -> RunId | None:
        """The run of a name or identity."""
        named = (run for run, view in self.views.items() if view.name == name or run == name)
        return next(named, None)
