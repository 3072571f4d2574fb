"""Rounds that are done again from kept updates: a cohort that answers without training.

It takes the place of clients for a stretch of a run. Whoever took part in a round of the line that is
replayed is named again, but for those whom the plan excludes; the updates that counted then are added
up by the same exact sum, and everything after that is as in any run.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from flnb.core.errors import NotFoundError, StoreError
from flnb.core.ids import ClientId
from flnb.core.messages import CohortReport, MetricSum, Outcome, Work
from flnb.core.ports import Participants
from flnb.store import Closing, KeptUpdate, LabStore, RoundKey
from flnb.tensors import CohortSum, Model, Update

_AT_ONCE = 64
"""Updates of a report, where they are kept once more and so must be held."""


@dataclass(frozen=True, slots=True)
class _Part:
    """What is known of one client's part of the round from the first time."""

    outcome: Outcome
    reason: str
    arrived_s: float
    train_s: float
    loss: float


class Replay:
    """Kept updates as `flnb.core.Participants`, and the cohorts that gave them.

    Args:
        store: The lab's store.
        until: The last round that is done again; its line names the others.
        exclude: Clients that are left out.
        measuring: Measures the held-out data.
    """

    def __init__(
        self,
        store: LabStore,
        until: RoundKey,
        exclude: Sequence[ClientId],
        measuring: Participants,
    ) -> None:
        self._store, self._exclude, self._measuring = store, frozenset(exclude), measuring
        self._line, self.until = store.state.line_of(until), until.round
        self._cancelled = threading.Event()
        self._left: Iterator[KeptUpdate] | None = None

    @property
    def clients(self) -> Mapping[ClientId, int]:
        """Nobody: who takes part follows from the rounds."""
        return {}

    def draw(
        self, population: Sequence[ClientId], *, seed: int, round: int, attempt: int
    ) -> tuple[ClientId, ...]:
        """Name the cohort of a round as it was, without those who are excluded."""
        clients = map(str, self._closing(round).assignments["client"])
        return tuple(ClientId(client) for client in clients if client not in self._exclude)

    def begin(self, work: Work, model: Model) -> None:
        """Open a round again."""
        self._cancelled.clear()
        closing = self._closing(work.round)
        self._work, self._layout, self._parts = work, model.layout, _parts(closing)
        self._rows = {client: row for row, client in enumerate(work.clients)}
        used = [client for client in self._rows if self._part(client) is Outcome.ACCEPTED]
        self._awaited = set(used)
        self._left = self._store.kept.read(closing.round_key)

    def collect(
        self, limit: int | None = None, into: CohortSum | None = None
    ) -> CohortReport | None:
        """Add up what was kept; see `Participants.collect`.

        Raises:
            StoreError: What is kept is damaged, or is not kept any more; the run pauses.
        """
        if self._left is None:
            return None
        sums, updates, found = (
            into or CohortSum(self._layout),
            list[Update](),
            dict[ClientId, Any](),
        )
        at_once = min(limit or _AT_ONCE, _AT_ONCE) if self._work.keep_updates else limit
        for one in self._kept():
            if self._cancelled.is_set():
                self._left = None
                return None
            update = Update(self._layout, one.values, one.integers)
            weight = one.n_examples if self._work.weighting == "examples" else 1
            norm = sums.fold(update, weight, measure=True)
            found[one.client] = (one.n_examples, norm)
            self._awaited.discard(one.client)
            updates += [update] if self._work.keep_updates else []
            if len(found) == at_once:
                break
        else:
            self._end()
        return self._report(found, sums, tuple(updates))

    def evaluate(self, model: Model) -> Mapping[str, MetricSum]:
        """Measure a model on the held-out data."""
        return self._measuring.evaluate(model)

    def cancel(self) -> None:
        """Make a running `collect` return soon."""
        self._cancelled.set()

    def close(self) -> None:
        """Nothing is held."""

    def _kept(self) -> Iterator[KeptUpdate]:
        """The updates that are left and count this time."""
        assert self._left is not None, "a round is open"
        try:
            for one in self._left:
                if one.client in self._awaited:
                    yield one
        except NotFoundError:
            raise StoreError(
                f"the updates of round {self._work.round} are not kept any more",
                hint="a run that goes on lets them go: replay what it still has while it rests, "
                "or run.replay(…, train=True)",
            ) from None

    def _end(self) -> None:
        """Every update was read: those who gave none come with the last report."""
        self._left = None
        if self._awaited:
            raise StoreError(
                f"of round {self._work.round} the update of {min(self._awaited)} is not among those kept",
                hint="run.replay(…, train=True) trains the rounds again",
            )

    def _report(
        self,
        found: Mapping[ClientId, tuple[int, float]],
        sums: CohortSum,
        updates: tuple[Update, ...],
    ) -> CohortReport:
        clients = list(found)
        if self._left is None:
            clients += [c for c in self._rows if self._part(c) is not Outcome.ACCEPTED]
        parts = [self._parts[client] for client in clients]
        known = [found.get(client, (0, np.nan)) for client in clients]
        rows = [self._rows[client] for client in clients]
        return CohortReport(
            rows=np.array(rows, np.int64),
            outcome=np.array([part.outcome for part in parts], np.uint8),
            n_examples=np.array([n for n, _ in known], np.int64),
            arrived_s=np.array([part.arrived_s for part in parts], float),
            train_s=np.array([part.train_s for part in parts], float),
            loss=np.array([part.loss for part in parts], float),
            norm=np.array([norm for _, norm in known], float),
            reasons={row: p.reason for row, p in zip(rows, parts, strict=True) if p.reason},
            sums=sums if sums.count else None,
            updates=updates,
        )

    def _part(self, client: ClientId) -> Outcome:
        return self._parts[client].outcome

    def _closing(self, round_: int) -> Closing:
        closing = self._store.state.closing_of(self._line.key(round_))
        assert closing is not None, "the rounds of a line are closed"
        return closing


def _parts(closing: Closing) -> dict[ClientId, _Part]:
    """What became of each client of a round, and how long it took."""
    updates, asked = closing.updates, closing.assignments
    came = {str(client): row for row, client in enumerate(updates["client"])}
    parts = {}
    for name, outcome, reason in zip(
        asked["client"], asked["outcome"], asked["reason"], strict=True
    ):
        row = came.get(str(name))
        told = [float(updates[c][row]) if row is not None else np.nan for c in _TOLD]
        became = Outcome[str(outcome).upper()]
        parts[ClientId(str(name))] = _Part(became, str(reason or ""), *told)
    return parts


_TOLD = ("arrived_s", "train_s", "loss")
