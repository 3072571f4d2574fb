"""What is known of the open round, kept in columns until the round becomes a closing record."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import numpy as np

from flnb.core.ids import ClientId
from flnb.core.messages import CohortReport, MetricSum, Outcome
from flnb.store import Closing, RunRecord

LATE_UPDATE = "late_update"
"""Kind of an event: something came of a client that does not take part in the round."""
OUTCOME_NAMES = np.array([outcome.name.lower() for outcome in Outcome], dtype=object)


class OpenRound:
    """Columns of the cohort of one attempt, filled in as reports come."""

    def __init__(
        self, round_number: int, attempt: int, clients: tuple[ClientId, ...], opened_at: datetime
    ) -> None:
        n = len(clients)
        self.round, self.attempt, self.clients, self.opened_at = (
            round_number,
            attempt,
            clients,
            opened_at,
        )
        self.outcome = np.full(n, Outcome.PENDING, dtype=np.uint8)
        self.n_examples = np.zeros(n, dtype=np.int64)
        self.arrived_s, self.train_s, self.loss, self.norm = np.full((4, n), np.nan)
        self.reasons: dict[int, str] = {}
        self.metrics: dict[str, tuple[np.ndarray, np.ndarray]] = {}
        self.stalls: tuple[float, ...] = ()
        """For how many seconds the coordinator's loop stood still, each time."""
        self.remarks: dict[str, str] = {}
        """Client to what should be known of it, whatever became of its update."""

    def take(self, report: CohortReport) -> None:
        """Put a report's rows in."""
        rows = report.rows
        self.outcome[rows] = report.outcome
        self.n_examples[rows] = report.n_examples
        self.arrived_s[rows] = report.arrived_s
        self.train_s[rows] = report.train_s
        self.loss[rows] = report.loss
        self.norm[rows] = report.norm
        self.reasons.update(report.reasons)
        for name, (totals, counts) in report.metrics.items():
            n = len(self.clients)
            mine = self.metrics.setdefault(name, (np.zeros(n), np.zeros(n)))
            mine[0][rows], mine[1][rows] = totals, counts

    def settle(self) -> None:
        """Whoever has no answer when the round closes is late."""
        self.outcome[self.outcome == Outcome.PENDING] = Outcome.LATE

    def count(self, outcome: Outcome) -> int:
        """Rows of an outcome."""
        return int((self.outcome == outcome).sum())

    def federated_metrics(self) -> dict[str, MetricSum]:
        """The cohort's own measurements of the model it received, added exactly, in row order."""
        counted = np.isin(self.outcome, (Outcome.ACCEPTED, Outcome.REFUSED))
        return {
            name: MetricSum.added(totals[counted], counts[counted])
            for name, (totals, counts) in self.metrics.items()
        }

    def training(self) -> dict[str, float]:
        """What accepted clients say of their training.

        Returns:
            `loss`, the mean of those that are finite, weighted by examples, and `loss_not_finite`, of
            how many clients they are not, in every round: 0.0 too. Each client's own stands in its row.
        """
        accepted = self.outcome == Outcome.ACCEPTED
        used = accepted & np.isfinite(self.loss)
        weights = self.n_examples[used].astype(float)
        return {
            "loss": MetricSum.added(self.loss[used] * weights, weights).value,
            "loss_not_finite": float(accepted.sum() - used.sum()),
        }

    def stories(self) -> dict[int, str]:
        """What became of each client that was not used, and why, by row."""
        return {
            row: f"{self.clients[row]} {OUTCOME_NAMES[self.outcome[row]]}: {reason}"
            for row, reason in sorted(self.reasons.items())
        }

    def example(self) -> str:
        """The first such story in one line; of a traceback, its last."""
        for row, reason in sorted(self.reasons.items()):
            why = reason.strip().rpartition("\n")[2]
            return f"{self.clients[row]} {OUTCOME_NAMES[self.outcome[row]]}: {why}"
        return ""

    def closing(
        self,
        record: RunRecord,
        closed_by: str,
        closed_at: datetime,
        central: Mapping[str, MetricSum],
        weighting: str,
        model_bytes: int,
    ) -> Closing:
        """Make the record that closes this round; its snapshot is named later.

        Args:
            record: The run.
            closed_by: What closed it.
            closed_at: When.
            central: Measurements of the new version on held-out data.
            weighting: Of the rule: `examples` or `equal`.
            model_bytes: What one update weighs on a wire.
        """
        scopes = {
            "central": {name: metric.value for name, metric in central.items()},
            "federated": {n: metric.value for n, metric in self.federated_metrics().items()},
            "training": self.training(),
        }
        accepted = self.count(Outcome.ACCEPTED)
        return Closing(
            run=record.id,
            branch=record.branch,
            generation=record.generation,
            round=self.round,
            attempt=self.attempt,
            closed_by=closed_by,
            snapshot=None,
            parameters_sha256=None,
            opened_at=self.opened_at,
            closed_at=closed_at,
            seconds_s=(closed_at - self.opened_at).total_seconds(),
            invited=len(self.clients),
            accepted=accepted,
            refused=self.count(Outcome.REFUSED),
            failed=self.count(Outcome.FAILED),
            lost=self.count(Outcome.LOST),
            late=self.count(Outcome.LATE),
            bytes_up=accepted * model_bytes,
            metrics=metric_columns(scopes),
            assignments=self.assignment_columns(),
            updates=self.update_columns(weighting, model_bytes),
            events=self.event_columns(closed_by),
        )

    def assignment_columns(self) -> dict[str, Any]:
        """One row per invited client."""
        return {
            "attempt": [self.attempt] * len(self.clients),
            "client": list(self.clients),
            "outcome": OUTCOME_NAMES[self.outcome],
            "reason": [self._told(row) for row in range(len(self.clients))],
        }

    def update_columns(self, weighting: str, bytes_up: int) -> dict[str, Any]:
        """One row per update that came, used or refused."""
        came = np.flatnonzero(np.isin(self.outcome, (Outcome.ACCEPTED, Outcome.REFUSED)))
        accepted = self.outcome[came] == Outcome.ACCEPTED
        examples = self.n_examples[came]
        return {
            "client": [self.clients[row] for row in came],
            "n_examples": examples,
            "weight": examples.astype(float) if weighting == "examples" else np.ones(len(came)),
            "loss": self.loss[came],
            "norm": self.norm[came],
            "bytes_up": np.full(len(came), bytes_up, dtype=np.int64),
            "arrived_s": self.arrived_s[came],
            "train_s": self.train_s[came],
            "accepted": accepted,
        }

    def _told(self, row: int) -> str:
        """Why a row was not used, and what else there is to know of it."""
        parts = (self.reasons.get(row, ""), self.remarks.get(self.clients[row], ""))
        return "; ".join(filter(None, parts))

    def event_columns(self, closed_by: str) -> dict[str, Any]:
        """The round's story: its start, stalls, every client that was not used or is remarkable."""
        remarked = [client in self.remarks for client in self.clients]
        odd = np.flatnonzero((self.outcome != Outcome.ACCEPTED) | np.array(remarked, bool)).tolist()
        cohort = set(self.clients)
        others = [client for client in self.remarks if client not in cohort]
        stalls = [f"the coordinator stood still for {each:.1f} s" for each in self.stalls]
        updates = [*("client_update" for _ in odd), *(LATE_UPDATE for _ in others)]
        kinds = ["round_started", *("stalled" for _ in stalls), *updates, "round_complete"]
        details = [
            f"{len(self.clients)} invited",
            *stalls,
            *(f"{OUTCOME_NAMES[self.outcome[row]]}: {self._told(row)}" for row in odd),
            *(self.remarks[client] for client in others),
            closed_by,
        ]
        return {
            "position": list(range(len(kinds))),
            "kind": kinds,
            "client": [
                "",
                *("" for _ in stalls),
                *(self.clients[row] for row in odd),
                *others,
                "",
            ],
            "detail": [detail.strip().removesuffix(":") for detail in details],
        }


def metric_columns(scopes: Mapping[str, Mapping[str, float]]) -> dict[str, Any]:
    """Tidy metric rows: scope (`central`, `federated`, `training`), metric, value."""
    rows = [(s, name, value) for s, values in scopes.items() for name, value in values.items()]
    return {
        "scope": [row[0] for row in rows],
        "metric": [row[1] for row in rows],
        "value": np.array([row[2] for row in rows], dtype=float),
    }
