"""Simulated and remote clients as one population."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from flnb.coordinator.remote.participants import RemoteClients
from flnb.coordinator.remote.work import OpenWork
from flnb.core.ids import ClientId
from flnb.core.messages import CohortReport, MetricSum, Work
from flnb.core.ports import Participants
from flnb.tensors import CohortSum, Model


class Together:
    """Two kinds of participants behind one port.

    Remote clients train while the simulated ones do; the simulated ones are reported first, because
    their sum cannot be cut when a round closes on a quorum.

    Args:
        simulated: Simulated clients; they also measure the held-out data.
        remote: Remote clients.
        with_simulated: Whether the simulated clients take part, or only measure.
    """

    def __init__(
        self, simulated: Participants, remote: RemoteClients, *, with_simulated: bool
    ) -> None:
        self._simulated, self._remote = simulated, remote
        self._with_simulated = with_simulated
        self._here: np.ndarray = np.zeros(0, np.int64)
        self._there: np.ndarray = np.zeros(0, np.int64)
        self._busy = False
        """Whether simulated clients were asked last time, and may have to be called back."""
        self._work: OpenWork | None = None

    @property
    def clients(self) -> Mapping[ClientId, int]:
        """Everybody who can be invited now; a name means the simulated client, if there is one."""
        simulated = self._simulated.clients if self._with_simulated else {}
        remote = self._remote.clients.items()
        return {**simulated, **{name: n for name, n in remote if name not in simulated}}

    def begin(self, work: Work, model: Model) -> None:
        """Hand out one stage of one cohort."""
        known = self._simulated.clients if self._with_simulated else {}
        local = np.array([client in known for client in work.clients], bool)
        self._here, self._there = np.flatnonzero(local), np.flatnonzero(~local)
        self._work = self._remote.begin(_part(work, self._there), model)
        if len(self._here) or self._busy:  # with nobody to train, a version need not be shown
            self._simulated.begin(_part(work, self._here), model)
        self._busy = len(self._here) > 0

    def collect(
        self, limit: int | None = None, into: CohortSum | None = None
    ) -> CohortReport | None:
        """Wait for answers; see `Participants.collect`."""
        if len(self._here) and (report := self._simulated.collect(limit)) is not None:
            return _placed(report, self._here)
        self._here = self._here[:0]
        work = self._work
        report = self._remote.collect(work, limit, into) if work is not None else None
        return None if report is None else _placed(report, self._there)

    def evaluate(self, model: Model) -> Mapping[str, MetricSum]:
        """Measure a model on the held-out data."""
        return self._simulated.evaluate(model)

    def cancel(self) -> None:
        """Make a running `collect` return soon."""
        self._simulated.cancel()
        if (work := self._work) is not None:
            self._remote.cancel(work)

    def close(self) -> None:
        """Release the simulated clients; remote ones belong to the front."""
        self._simulated.close()


def _part(work: Work, rows: np.ndarray) -> Work:
    return replace(work, clients=tuple(work.clients[row] for row in rows.tolist()))


def _placed(report: CohortReport, rows: np.ndarray) -> CohortReport:
    """The same report with the rows of the whole cohort."""
    reasons = {int(rows[row]): reason for row, reason in report.reasons.items()}
    return replace(report, rows=rows[report.rows], reasons=reasons)
