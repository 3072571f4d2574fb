"""What was accepted for the open round: its exact sum, and single updates where a plan keeps them."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np

from flnb.coordinator.closer import Version
from flnb.core.ids import ClientId, RunId
from flnb.core.messages import CohortReport, Outcome
from flnb.store import Keeping, KeptUpdate, KeptUpdates, RoundKey
from flnb.strategies import Strategy
from flnb.tensors import CohortSum

log = logging.getLogger(__name__)


def let_go(kept: KeptUpdates, run: RunId, keep: int, idle: bool = False) -> None:
    """Delete single updates of all rounds of a branch but the last so many.

    Args:
        kept: Where they are.
        run: The branch.
        keep: How many rounds are kept.
        idle: Whether no round is open: then what a crash left half-written goes too.
    """
    try:
        if idle:
            kept.tidy(run)
        kept.expire(run, keep)
    except OSError:
        # It is tried again after the next round; until then more is kept than was promised.
        log.exception("kept updates of %s could not be deleted", run)


class Folding:
    """Adds accepted updates up, and turns them into the next version.

    All of it blocks. Threads call it one after the other: the population's, and to drop what was
    accepted that of databases, which does not wait for another run's cohort.

    Args:
        strategy: Whose rule and server optimiser make versions.
        kept: Where single updates go, if the plan keeps any.
    """

    def __init__(self, strategy: Strategy, kept: KeptUpdates | None) -> None:
        self._strategy, self._kept = strategy, kept
        self.sums: CohortSum | None = None
        """Of what was accepted so far; None before the first."""
        self._keeping: Keeping | None = None

    def drop(self) -> None:
        """Nothing that was accepted is used: the attempt or the round was given up."""
        self.sums = None
        if self._keeping is not None:
            self._keeping.abandon()
            self._keeping = None

    def take(self, key: RoundKey, clients: Sequence[ClientId], report: CohortReport) -> None:
        """Add a report's accepted updates to what was accepted before.

        Args:
            key: The open round.
            clients: Its cohort, by row.
            report: Holds the sum of exactly the accepted rows.

        Raises:
            StorageFullError: There is no room to keep single updates.
        """
        if self.sums is None:
            self.sums = report.sums
        elif report.sums is not self.sums:  # else it was added to
            self.sums.merge(report.sums)
        if self._kept is None:
            return
        if self._keeping is None:
            self._keeping = self._kept.begin(key)
        rows = np.flatnonzero(report.outcome == Outcome.ACCEPTED)
        for row, update in zip(rows.tolist(), report.updates, strict=True):
            client, n = clients[int(report.rows[row])], int(report.n_examples[row])
            self._keeping.put(KeptUpdate(client, n, update.values, update.integers))

    def next_version(self, round_number: int, before: Version) -> Version:
        """Turn the sum into the next version.

        Args:
            round_number: Of the version.
            before: The version that the updates are changes of.

        Raises:
            IntegrityError: The step leaves the range of float32.
            StorageFullError: There is no room to keep single updates.
        """
        assert self.sums is not None, "a round that closes has updates"
        sums, self.sums = self.sums, None
        update = self._strategy.rule.combine(sums.spend())
        optimiser, model = self._strategy.server.apply(before.optimiser, before.model, update)
        if self._keeping is not None:
            keeping, self._keeping = self._keeping, None
            keeping.finish()
        return Version(round_number, model, optimiser)
