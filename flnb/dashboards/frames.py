"""The closed rounds of a run as frames: grown once a commit, for all sessions."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime

import pandas as pd

from flnb.core.ids import RunId
from flnb.core.view import RunView
from flnb.dashboards import queries
from flnb.dashboards.closed import EVENTS, closed
from flnb.dashboards.shared import Made
from flnb.dashboards.sources import Source


@dataclass(frozen=True, slots=True, eq=False)
class Frames:
    """What was closed of a run, until one round."""

    run: RunId
    branch: str
    generation: int
    round: int
    """The last closed one."""
    rounds: pd.DataFrame
    """As `run.rounds.df()`."""
    metrics: pd.DataFrame
    """As `run.metrics.df()`."""
    band: pd.DataFrame
    """Quantiles over clients by round: `metric round low mid high n`; empty for viewers."""
    events: pd.DataFrame
    """The newest ones, oldest first."""
    unused: pd.DataFrame
    """Who could not be used in the newest round; empty for viewers."""
    line: str
    """An SQL condition for these rounds and those that follow them."""
    made: Made = field(default_factory=Made, init=False, repr=False)
    """What is drawn of these frames."""

    @property
    def closed_at(self) -> datetime | None:
        """When the newest round was closed."""
        return self.made.once("closed_at", self._closed_at)

    def _closed_at(self) -> datetime | None:
        moments = self.rounds["closed_at"]
        return moments.iloc[-1].to_pydatetime() if len(moments) else None

    @classmethod
    def after(
        cls, known: Frames | None, source: Source, run: RunId, view: RunView, *, clients: bool
    ) -> Frames:
        """The frames of a run as it stands now.

        Args:
            known: Its frames of before; given back if nothing was closed since.
            source: Whom to ask.
            run: The run.
            view: Its present picture.
            clients: Whether single clients may be asked about.

        Raises:
            FLBaseError: Nobody can tell now.
        """
        stands = (view.branch, view.generation)
        if known is not None and (known.branch, known.generation) != stands:
            known = None  # its head was moved: other rounds lead to it
        if known is not None and known.round == view.round:
            return known
        line = known.line if known is not None else queries.line(source, run)
        found = closed(source, line, known.round if known is not None else 0, clients=clients)
        if known is not None and known.round == found.last:
            return known
        if known is not None and known.round > found.last:  # rounds were taken back
            return cls.after(None, source, run, view, clients=clients)
        new = cls(
            run,
            *stands,
            found.last,
            found.rounds,
            found.metrics,
            found.band,
            found.events,
            found.unused,
            line,
        )
        return new if known is None else known.grown(new)

    def grown(self, new: Frames) -> Frames:
        """These and what was closed since."""
        return replace(
            new,
            rounds=_joined(self.rounds, new.rounds),
            metrics=_joined(self.metrics, new.metrics),
            band=_joined(self.band, new.band),
            events=_joined(self.events, new.events).tail(EVENTS),
        )


def _joined(before: pd.DataFrame, new: pd.DataFrame) -> pd.DataFrame:
    if not len(before):
        return new
    return pd.concat([before, new], ignore_index=True) if len(new) else before
