"""One cohort at work: who answers when, what is known of each, and what was reported.

Who drops out and who is late is known before anybody trains, so nobody trains in vain. The rows
are reported in order of simulated arrival, and a report ends with the last update that was asked
for; which rows are in it can therefore not depend on who trained them, nor on when.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from jaxtyping import Int64

from flnb.core import ClientId, CohortReport, Outcome, Work
from flnb.core.errors import NotFoundError
from flnb.engines.answers import Answers, no_facts
from flnb.engines.behaviour import Behaviour
from flnb.tensors import CohortSum, Update


class Cohort:
    """What is known of the clients of one piece of work.

    Args:
        work: Who does what.
        behaviour: How slow they are and who drops out.
        population: Every client with its number of examples.

    Raises:
        NotFoundError: A client of the work is not in the population.
    """

    def __init__(
        self, work: Work, behaviour: Behaviour, population: Mapping[ClientId, int]
    ) -> None:
        n = len(work.clients)
        for client in work.clients:
            if client not in population:
                raise NotFoundError("client", client, population)
        self.work = work
        self.sizes = np.fromiter((population[client] for client in work.clients), np.int64, n)
        self._arrived_s = behaviour.latencies_s(work)
        self._order = np.argsort(self._arrived_s, kind="stable")
        self._position = 0
        self._updates: dict[int, Update] = {}
        self._facts = no_facts(n)
        self._metrics: dict[str, tuple[np.ndarray, np.ndarray]] = {}
        empty = self.sizes == 0
        self._reasons = {
            row: f"client {work.clients[row]} has no data: the split gives it 0 examples"
            for row in np.flatnonzero(empty).tolist()
        }
        outcome = self._facts["outcome"]
        outcome[empty] = Outcome.FAILED
        if work.deadline_s is not None:
            outcome[self._arrived_s > work.deadline_s] = Outcome.LATE
        outcome[behaviour.dropped(work)] = Outcome.LOST

    @property
    def over(self) -> bool:
        """Whether every row was reported."""
        return self._position == len(self._order)

    def wanted(self, limit: int | None) -> Int64[np.ndarray, " k"]:
        """Rows to train now, in order of arrival, for a report of at most `limit` updates."""
        left = self._order[self._position :]
        outcome = self._facts["outcome"][left]
        pending: Int64[np.ndarray, " k"] = left[outcome == Outcome.PENDING]
        if limit is not None:
            pending = pending[: max(0, limit - np.count_nonzero(outcome == Outcome.ACCEPTED))]
        return pending

    def note(self, answers: Answers) -> None:
        """Take down what clients did."""
        self._facts[answers.rows] = answers.facts
        self._reasons.update(answers.reasons)
        n = len(self._order)
        for name, columns in answers.metrics.items():
            mine = self._metrics.setdefault(name, (np.zeros(n), np.zeros(n)))
            for column, part in zip(mine, columns, strict=True):
                column[answers.rows] = part

    def keep(self, updates: Mapping[int, Update]) -> None:
        """Keep the single updates of some rows until they are reported."""
        self._updates.update(updates)

    def forget(self, rows: Int64[np.ndarray, " k"]) -> None:
        """Take back what was noted of clients whose updates are lost; they are wanted again."""
        self._facts[rows] = no_facts(len(rows))
        for row in rows.tolist():
            self._reasons.pop(row, None)

    def report(self, limit: int | None, sums: CohortSum) -> CohortReport | None:
        """Report the rows that arrived next, up to the last update asked for.

        Args:
            limit: At most so many accepted rows.
            sums: Sum of exactly the accepted rows not reported yet.

        Returns:
            None when every row has been reported.
        """
        if self.over:
            return None
        rows = self._order[self._position :]
        accepted = np.flatnonzero(self._facts["outcome"][rows] == Outcome.ACCEPTED)
        if limit is not None and len(accepted) >= limit:
            rows = rows[: accepted[limit - 1] + 1]
        self._position += len(rows)
        facts = self._facts[rows]
        assert len(accepted) == sums.count, "the sum holds the accepted rows and no others"
        return CohortReport(
            rows=rows,
            **{name: facts[name].copy() for name in facts.dtype.names or ()},
            arrived_s=self._arrived_s[rows],
            reasons={row: self._reasons[row] for row in rows.tolist() if row in self._reasons},
            metrics={name: (a[rows], b[rows]) for name, (a, b) in self._metrics.items()},
            sums=sums if sums.count else None,
            updates=self._handed_over(rows) if self.work.keep_updates else (),
        )

    def _handed_over(self, rows: Int64[np.ndarray, " k"]) -> tuple[Update, ...]:
        accepted = rows[self._facts["outcome"][rows] == Outcome.ACCEPTED]
        return tuple(self._updates.pop(row) for row in accepted.tolist())
