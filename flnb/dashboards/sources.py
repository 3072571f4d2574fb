"""Where pages get what they show: a coordinator that listens, or the lab's state database alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Protocol

from flnb.coordinator import Lab
from flnb.coordinator.control.connection import Connection
from flnb.coordinator.control.telling import QUOTING
from flnb.coordinator.measures import Measured, measured
from flnb.coordinator.run import Run
from flnb.core.clock import SYSTEM_CLOCK, Clock
from flnb.core.errors import FLBaseError, UnreachableError
from flnb.core.ids import RunId
from flnb.core.view import RunView
from flnb.dashboards.access import sees_clients
from flnb.dashboards.study_watch import StudiesAfar, StudyNow, studies_in
from flnb.store import HIDDEN, RunRecord, Table, aggregates

_MOST_RUNS = 200
"""The newest ones; older ones are found with SQL."""
_LIST_S = 1.0
"""So often a coordinator is asked which runs there are; how they stand is heard in between."""


class Source(Protocol):
    """What one role sees of a lab."""

    @property
    def live(self) -> bool:
        """Whether a coordinator answers; else everything comes from the state database."""
        ...

    def views(self) -> dict[RunId, RunView]:
        """The present pictures of the newest runs, newest first.

        Raises:
            FLBaseError: They cannot be had now.
        """
        ...

    def run(self, run: RunId) -> Run:
        """A run as a notebook holds it.

        Raises:
            NotFoundError: There is none.
        """
        ...

    def ask(self, query: str, *, rows: int = 10_000, timeout_s: float = 5.0) -> Table:
        """Answer one SELECT.

        Raises:
            QueryRefusedError: It is not one, asks for what the role may not see, or is over a limit.
        """
        ...

    def studies(self) -> tuple[StudyNow, ...]:
        """The newest studies, that which was asked for last first.

        Raises:
            FLBaseError: They cannot be had now.
        """
        ...

    def measured(self, study: StudyNow) -> Mapping[str, Measured]:
        """What the runs of a study were measured by, by their names.

        Raises:
            FLBaseError: It cannot be had now.
        """
        ...

    @property
    def last_write(self) -> datetime | None:
        """When the newest round was closed; None where that does not matter."""
        ...

    @property
    def trouble(self) -> FLBaseError | None:
        """Why it cannot be asked now."""
        ...

    def close(self) -> None:
        """Let it go."""
        ...


class Live:
    """What a coordinator that listens tells a role."""

    live = True

    def __init__(self, connection: Connection, *, clock: Clock = SYSTEM_CLOCK) -> None:
        self.connection, self._clock = connection, clock
        self._listed, self._listed_s = list[RunId](), -_LIST_S
        self._runs: dict[RunId, Run] = {}
        self._studies: StudiesAfar | None = None
        self.last_write: datetime | None = None

    def views(self) -> dict[RunId, RunView]:
        """See `Source`; a run is looked up once, and heard of from then on."""
        now_s = self._clock.monotonic_s()
        if now_s - self._listed_s >= _LIST_S:
            self._listed = list(self.connection.runs().ids[:_MOST_RUNS])
            self._listed_s = now_s
        return {run: self.run(run).view for run in self._listed}

    def run(self, run: RunId) -> Run:
        """See `Source`."""
        if run not in self._runs:
            self._runs[run] = self.connection.attach(run)
        return self._runs[run]

    def ask(self, query: str, *, rows: int = 10_000, timeout_s: float = 5.0) -> Table:
        """See `Source`."""
        return self.connection.sql(query, rows=rows, timeout_s=timeout_s)

    def studies(self) -> tuple[StudyNow, ...]:
        """See `Source`."""
        self._studies = self._studies or StudiesAfar(self.connection.studies)
        return self._studies.look()

    def measured(self, study: StudyNow) -> Mapping[str, Measured]:
        """See `Source`."""
        return self.connection.studies.measured(study.name)

    @property
    def trouble(self) -> FLBaseError | None:
        """See `Source`."""
        if self.connection.ended is not None:
            return self.connection.ended
        answers = self.connection.connected
        return None if answers else UnreachableError("the coordinator does not answer")

    def close(self) -> None:
        """See `Source`."""
        self.connection.close()


class Stored:
    """What the state database of a lab tells a role; never opens `metrics.duckdb`, never takes the lab.

    In a process that holds the lab, its coordinator is asked, as everywhere in that process.
    """

    def __init__(self, lab: Lab, role: str) -> None:
        self._lab, self._role = lab, role
        self._views: dict[RunId, tuple[tuple[object, ...], RunView]] = {}
        self.last_write: datetime | None = None
        self.trouble: FLBaseError | None = None

    @property
    def live(self) -> bool:
        """Whether the coordinator is in this process."""
        return self._lab.coordinator is not None

    def views(self) -> dict[RunId, RunView]:
        """See `Source`; only a run whose row or head moved is read again."""
        coordinator, records = self._lab.coordinator, self._lab.store.state.runs()[:_MOST_RUNS]
        views = {}
        for record in records:
            picture = coordinator.picture(record.id) if coordinator is not None else None
            views[record.id] = self._shown(picture.view if picture else self._stored(record))
        return views

    def _stored(self, record: RunRecord) -> RunView:
        head, held = (
            self._lab.store.state.head(record.id),
            self._lab.store.driver(record) is not None,
        )
        stamp = record.updated_at, record.generation, record.status, head.round, held, record.waits
        known = self._views.get(record.id)
        if known is None or known[0] != stamp:
            known = self._views[record.id] = stamp, self._lab.picture(record).view
            self.last_write = max(self.last_write or record.updated_at, record.updated_at)
            closing = self._lab.store.state.closing(record.id, head.round)
            if closing is not None:
                self.last_write = max(self.last_write, closing.closed_at)
        return known[1]

    def _shown(self, view: RunView) -> RunView:
        if sees_clients(self._role):
            return view
        hidden: dict[str, Any] = {name: HIDDEN for name in QUOTING if getattr(view, name)}
        return replace(view, **hidden)

    def run(self, run: RunId) -> Run:
        """See `Source`."""
        return self._lab.run(run)

    def ask(self, query: str, *, rows: int = 10_000, timeout_s: float = 5.0) -> Table:
        """See `Source`."""
        if sees_clients(self._role):
            return self._lab.sql(query, rows=rows, timeout_s=timeout_s)
        if self._lab.coordinator is not None:
            self._lab.coordinator.flush()
            metrics = self._lab.coordinator.lab.store.metrics
            return aggregates(metrics, query, rows=rows, timeout_s=timeout_s)
        with self._lab.store.reader() as metrics:
            return aggregates(metrics, query, rows=rows, timeout_s=timeout_s)

    def studies(self) -> tuple[StudyNow, ...]:
        """See `Source`."""
        found = studies_in(self._lab.store.state)
        return found if sees_clients(self._role) else tuple(one.viewed for one in found)

    def measured(self, study: StudyNow) -> Mapping[str, Measured]:
        """See `Source`."""
        return measured(self._lab, {cell.run for cell in study.cells if cell.run}, self.ask)

    def close(self) -> None:
        """See `Source`."""
