"""Keeps the picture of a run (`RunView`) up to date, and tells whoever watches.

Pictures are immutable; a new one replaces the old by one assignment, so that a repr in another
thread always reads a whole one.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import replace
from statistics import median

from flnb.coordinator.rows import OpenRound
from flnb.core.errors import FLBaseError
from flnb.core.messages import Outcome
from flnb.core.view import Phase, RoundRow, RunView, Status
from flnb.rounds import RoundsState
from flnb.store import Closing

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
        for closing in closings:
            self._add(closing)

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
        number = open_round.round if open_round is not None else 0
        waits = replace(self.view, awaited=awaited, here=here, open_round=number)
        if open_round is None:
            self.show(replace(waits, phase=state.phase, status=state.status))
            return
        outcomes = {outcome: open_round.count(outcome) for outcome in Outcome}
        self.show(
            replace(
                waits,
                status=state.status,
                phase=state.phase,
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
        self.show(replace(self.view, status=status, error=str(error or ""), open_round=0))

    def begin_again(self, view: RunView) -> None:
        """Forget all rounds: they are done again."""
        self._seen = 0
        self.show(view)

    def become(self, other: Picture) -> None:
        """Show what another picture of the same run shows, and go on from there."""
        self._seen = other._seen
        self.show(other.view)

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
        rows = (row, *self.view.rows)[:ROWS]
        headline, curve = self.view.headline, self.view.curve
        if headline in FALLBACKS and (better := _headline(row)) not in FALLBACKS:
            headline, curve = better, ()  # the first rounds were not measured centrally
        headline = headline or _headline(row)
        if headline in row.metrics:
            curve = _thin((*curve, (closing.round, row.metrics[headline])))
        kinds = zip(closing.events.get("kind", ()), closing.events.get("detail", ()), strict=True)
        found = [f"round {closing.round}, {detail}" for kind, detail in kinds if kind == "guard"]
        self.view = replace(
            self.view,
            noted="; ".join(found) or self.view.noted,
            round=closing.round,
            phase=Phase.COMPLETE,
            bytes_up=self.view.bytes_up + closing.bytes_up,
            seconds_a_round=median(row.seconds for row in rows),
            rows=rows,
            headline=headline,
            curve=curve,
        )


def row_of(closing: Closing) -> RoundRow:
    """A closed round as one line of a table."""
    columns = closing.metrics
    metrics = {}
    for scope, name, value in zip(
        columns["scope"], columns["metric"], columns["value"], strict=True
    ):
        if scope == "central":
            metrics[str(name)] = float(value)
        elif scope == "training" and name == "loss":
            metrics["train_loss"] = float(value)
    return RoundRow(
        round=closing.round,
        metrics=metrics,
        accepted=closing.accepted,
        invited=closing.invited,
        refused=closing.refused + closing.failed,
        seconds=closing.seconds_s,
        commit=(closing.snapshot or "")[:6].lower(),
        branch=closing.branch,
    )


def _headline(row: RoundRow) -> str:
    """What to draw: the first metric of one's own choice, else a loss."""
    names = [name for name in row.metrics if name not in FALLBACKS]
    return next(iter([*names, *row.metrics]), "")


def _thin(curve: tuple[tuple[int, float], ...]) -> tuple[tuple[int, float], ...]:
    """Leave every second point out once there are too many; the newest always stays."""
    return curve if len(curve) <= CURVE_POINTS else (*curve[:-1:2], curve[-1])
