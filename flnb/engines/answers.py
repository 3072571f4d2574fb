"""What became of clients, as columns: the form in which work comes back from a worker."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Int64

from flnb.core import MetricSum, Outcome

FACTS = np.dtype(
    [
        ("outcome", np.uint8),
        ("n_examples", np.int64),
        ("train_s", np.float64),
        ("loss", np.float64),
        ("norm", np.float64),
    ]
)
"""Facts of one client; the names are those of `flnb.core.CohortReport`."""


def no_facts(n: int) -> np.ndarray[Any, Any]:
    """Facts of `n` clients of whom nothing is known yet."""
    facts = np.zeros(n, FACTS)
    facts["loss"] = facts["norm"] = np.nan
    return facts


@dataclass(frozen=True, slots=True)
class Answers:
    """What some clients of a cohort did; their updates are in a sum elsewhere."""

    rows: Int64[np.ndarray, " n"]
    facts: np.ndarray[Any, Any]
    """One record of `FACTS` a row."""
    reasons: Mapping[int, str] = field(default_factory=dict)
    """Row to why its update is not used."""
    metrics: Mapping[str, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)
    """Metric name to (numerators, denominators)."""


class Ledger:
    """Fills in the facts of clients one after the other.

    Args:
        rows: The clients, by their row in the cohort.
    """

    def __init__(self, rows: Sequence[int]) -> None:
        self._rows = np.asarray(rows, np.int64)
        self._facts = no_facts(len(rows))
        self._reasons: dict[int, str] = {}
        self._metrics: dict[str, tuple[np.ndarray, np.ndarray]] = {}
        self._done = 0

    def enter(
        self,
        outcome: Outcome,
        *,
        n_examples: int = 0,
        train_s: float = 0.0,
        loss: float = np.nan,
        norm: float = np.nan,
        metrics: Mapping[str, MetricSum] | None = None,
        reason: str = "",
    ) -> None:
        """Write the next client down."""
        index = self._done
        self._facts[index] = (outcome, n_examples, train_s, loss, norm)
        if reason:
            self._reasons[int(self._rows[index])] = reason
        for name, metric in (metrics or {}).items():
            if name not in self._metrics:
                self._metrics[name] = np.zeros(len(self._rows)), np.zeros(len(self._rows))
            totals, counts = self._metrics[name]
            totals[index], counts[index] = metric.total, metric.count
        self._done += 1

    def close(self) -> Answers:
        """Hand over what was entered."""
        done = slice(self._done)
        metrics = {
            name: (totals[done], counts[done]) for name, (totals, counts) in self._metrics.items()
        }
        return Answers(self._rows[done], self._facts[done], self._reasons, metrics)
