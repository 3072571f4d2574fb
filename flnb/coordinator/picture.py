"""Keeps the picture of a run (`RunView`) up to date, and tells whoever watches.

Pictures are immutable; a new one replaces the old by one assignment, so that a repr in another
thread always reads a whole one.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from statistics import median
from typing import Self

from flnb.coordinator.rows import OpenRound
from flnb.core.errors import FLBaseError
from flnb.core.messages import Outcome
from flnb.core.view import Phase, RoundRow, RunView, Status
from flnb.rounds import RoundsState
from flnb.store import Closing
from flnb.store.course import Course

ROWS = 8
CURVE_POINTS = 200
FALLBACKS = {"loss", "train_loss"}
Watcher = Callable[[RunView], None]

log = logging.getLogger(__name__)


class Picture:
    """The present `RunView` of one run.

    Args:
        view: The first picture.
        closings: Rounds that are durable already, oldest first.
    """

    def __init__(self, view: RunView, closings: Iterable[Closing] = ()) -> None:
        self.view = view
        self._watchers: list[Watcher] = []
        self._seen = 0
        self.position = 0
        """Place of the newest of its rounds in the lab's sequence of closings, as it was made."""
        for closing in closings:
            self._add(closing)

    @classmethod
    def of(cls, view: RunView, course: Course) -> Self:
        """The picture of a run after all its rounds; as if each had been shown, and much sooner."""
        picture, drawing = cls(view), Drawing()
        for number, measured in course.measured():
            drawing = drawing.with_round(number, _metrics(measured))
        if course.newest:
            rows = tuple(map(row_of, reversed(course.newest)))
            picture._seen, picture.position = course.rounds[-1], course.position
            picture.view = replace(_closed(view, rows, drawing), bytes_up=course.bytes_up)
        return picture

    @property
    def watched(self) -> bool:
        """Whether anybody watches."""
        return bool(self._watchers)

    def watch(self, watcher: Watcher) -> Callable[[], None]:
        """Call `watcher` with every new picture; returns what ends that."""
        self._watchers.append(watcher)

        def unwatch() -> None:
            if watcher in self._watchers:
                self._watchers.remove(watcher)

        return unwatch

    def on_state(
        self, state: RoundsState, open_round: OpenRound | None, awaited: int = 0, here: int = 0
    ) -> None:
        """The machine took a step; a round may wait for so many clients, of whom so many are here."""
        status = state.status
        if awaited and status is Status.RUNNING:
            status = Status.WAITING
        shown = replace(
            self.view,
            awaited=awaited,
            here=here,
            phase=state.phase,
            status=status,
            open_round=open_round.round if open_round is not None else 0,
        )
        if open_round is None:
            self.show(shown)
            return
        outcomes = {outcome: open_round.count(outcome) for outcome in Outcome}
        self.show(
            replace(
                shown,
                invited=len(open_round.clients),
                accepted=outcomes[Outcome.ACCEPTED],
                refused=outcomes[Outcome.REFUSED] + outcomes[Outcome.FAILED],
                lost=outcomes[Outcome.LOST] + outcomes[Outcome.LATE],
            )
        )

    def on_closed(self, closing: Closing) -> None:
        """A round is durable. One that was run again, or got its commit later, is there already."""
        if closing.round > self._seen:
            self._add(closing)
            self._tell()
        elif closing.snapshot is not None:
            commit = row_of(closing).commit
            rows = tuple(
                replace(row, commit=commit) if row.round == closing.round else row
                for row in self.view.rows
            )
            self.show(replace(self.view, rows=rows))

    def on_start(self, rounds: int) -> None:
        """The run begins or goes on; the plan may have changed meanwhile."""
        self.show(replace(self.view, status=Status.RUNNING, rounds=rounds, error=""))

    def on_status(self, status: Status, error: FLBaseError | None = None) -> None:
        """The run began, rests or is over."""
        self.show(
            replace(
                self.view, status=status, error=str(error or ""), awaited=0, here=0, open_round=0
            )
        )

    def begin_again(self, view: RunView) -> None:
        """Forget all rounds: they are done again."""
        self._seen = 0
        self.show(view)

    def become(self, other: Picture) -> None:
        """Show what another picture of the same run shows, and go on from there."""
        self._seen = other._seen
        self.show(other.view)

    def have_rounds_of(self, other: Picture) -> None:
        """Show the closed rounds of another picture of the same run; what it does stays as it is shown."""
        self._seen = other._seen
        rounds = ("round", "rows", "curve", "headline", "seconds_a_round", "bytes_up", "noted")
        self.show(replace(self.view, **{name: getattr(other.view, name) for name in rounds}))

    def show(self, view: RunView) -> None:
        """Replace the picture, and tell whoever watches if it looks different."""
        if view != self.view:
            self.view = view
            self._tell()

    def _tell(self) -> None:
        for watcher in tuple(self._watchers):
            try:
                watcher(self.view)
            except Exception:
                # A picture that cannot be drawn must not stop the training.
                log.exception("a watcher of %s failed and is left out from now on", self.view.name)
                self._watchers.remove(watcher)

    def _add(self, closing: Closing) -> None:
        self._seen = max(self._seen, closing.round)
        row = row_of(closing)
        drawing = Drawing(self.view.headline, self.view.curve)
        kinds = zip(closing.events.get("kind", ()), closing.events.get("detail", ()), strict=True)
        found = [f"round {closing.round}, {detail}" for kind, detail in kinds if kind == "guard"]
        self.view = replace(
            _closed(
                self.view,
                (row, *self.view.rows)[:ROWS],
                drawing.with_round(row.round, row.metrics),
            ),
            noted="; ".join(found) or self.view.noted,
            bytes_up=self.view.bytes_up + closing.bytes_up,
        )


@dataclass(frozen=True, slots=True)
class Drawing:
    """The metric that is drawn, and its curve."""

    headline: str = ""
    curve: tuple[tuple[int, float], ...] = ()

    def with_round(self, number: int, metrics: Mapping[str, float]) -> Drawing:
        """The same after one more round."""
        headline, curve = self.headline, self.curve
        if headline in FALLBACKS and (better := _headline(metrics)) not in FALLBACKS:
            headline, curve = better, ()  # the first rounds were not measured centrally
        headline = headline or _headline(metrics)
        if headline in metrics:
            curve = _thin((*curve, (number, metrics[headline])))
        return Drawing(headline, curve)


def row_of(closing: Closing) -> RoundRow:
    """A closed round as one line of a table."""
    columns = closing.metrics
    rows = zip(columns["scope"], columns["metric"], columns["value"], strict=True)
    return RoundRow(
        round=closing.round,
        metrics=_metrics(rows),
        accepted=closing.accepted,
        invited=closing.invited,
        refused=closing.refused + closing.failed,
        seconds=closing.seconds_s,
        commit=(closing.snapshot or "")[:6].lower(),
        branch=closing.branch,
    )


def _metrics(rows: Iterable[tuple[str, str, float]]) -> dict[str, float]:
    """What a round shows of its measurements: central ones, and the loss of the training."""
    metrics = {}
    for scope, name, value in rows:
        if scope == "central":
            metrics[str(name)] = float(value)
        elif scope == "training" and name == "loss":
            metrics["train_loss"] = float(value)
    return metrics


def _closed(view: RunView, rows: tuple[RoundRow, ...], drawing: Drawing) -> RunView:
    """A picture after a round, the first of these rows."""
    return replace(
        view,
        round=rows[0].round,
        phase=Phase.COMPLETE,
        seconds_a_round=median(row.seconds for row in rows),
        rows=rows,
        headline=drawing.headline,
        curve=drawing.curve,
    )


def _headline(metrics: Mapping[str, float]) -> str:
    """What to draw: the first metric of one's own choice, else a loss."""
    names = [name for name in metrics if name not in FALLBACKS]
    return next(iter([*names, *metrics]), "")


def _thin(curve: tuple[tuple[int, float], ...]) -> tuple[tuple[int, float], ...]:
    """Leave every second point out once there are too many; the newest always stays."""
    return curve if len(curve) <= CURVE_POINTS else (*curve[:-1:2], curve[-1])
