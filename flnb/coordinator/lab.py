"""A lab: the place where runs, history and metrics live."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flnb.coordinator.cell import state_here
from flnb.coordinator.following import Following
from flnb.coordinator.here import coordinator_of
from flnb.coordinator.history.expiring import KEEP, ExpiryPreview, LabExpiry
from flnb.coordinator.history.holding import LONG_S, ask
from flnb.coordinator.history.verifying import Verdict, verify
from flnb.coordinator.invitations import duration
from flnb.coordinator.local import LocalRun
from flnb.coordinator.operations import operations
from flnb.coordinator.picture import ROWS, Picture
from flnb.coordinator.run_list import RunList
from flnb.coordinator.studying import Studying
from flnb.core import cards
from flnb.core.errors import LabHeldError, RoundStateError
from flnb.core.ids import RunId
from flnb.core.plan import Plan
from flnb.core.view import RunView, Status
from flnb.store import LabStore, Metrics, RunRecord, Table, export_tables

if TYPE_CHECKING:
    from flnb.coordinator.coordinator import Coordinator
    from flnb.coordinator.run import Run
    from flnb.tasks import Task


class Lab(Studying):
    """What `flnb.open` returns: reads the lab always, whoever holds it.

    A `Coordinator` in this process makes it write; see `Coordinator.start`.
    """

    def __init__(self, store: LabStore) -> None:
        self.store = store
        self._following: dict[RunId, Following] = {}
        self._lock = threading.Lock()
        self._known_runs = len(store.state.runs())

    @classmethod
    def open(cls, address: str | Path, state: str | None = None, *, create: bool = True) -> Lab:
        """Open a lab, making it where there is none; see `flnb.open`."""
        return cls(LabStore.open(address, state or state_here(address), create=create))

    @property
    def path(self) -> Path:
        """The folder; of a shared lab the one where this machine works."""
        return self.store.path

    @property
    def address(self) -> str:
        """How it is opened: a folder, or `s3://bucket/prefix`."""
        return self.store.address

    @property
    def name(self) -> str:
        """The last part of its address."""
        return self.address.rpartition("/")[2]

    @property
    def id(self) -> str:
        """Opaque, unique for ever; stays when the folder moves."""
        return self.store.id

    @property
    def coordinator(self) -> Coordinator | None:
        """The coordinator of this process that holds the lab, if there is one."""
        return coordinator_of(self.path)

    def runs(self) -> RunList:
        """Every run, newest first."""
        records = self.store.state.runs()
        self._known_runs = len(records)
        return RunList(self, records)

    def run(self, name: str) -> Run:
        """Find a run by name or id.

        Raises:
            NotFoundError: There is none; the nearest name is offered.
        """
        from flnb.coordinator.run import Run  # it imports this module for types

        record = self.store.state.run(name)
        coordinator = self.coordinator
        live = coordinator.picture(record.id) if coordinator is not None else None
        return Run(LocalRun(self, record, live or self.picture(record)))

    def attach(self, name: str) -> Run:
        """Find a run again, such as after the kernel was restarted, and follow it.

        Its picture moves also when another process drives it, and `live`, `wait` and `pause` work.
        `run` finds it as well, but its picture stays until it is shown or waited for.

        Raises:
            NotFoundError: There is none; the nearest name is offered.
        """
        run = self.run(name)
        if isinstance(run.source, LocalRun):
            run.source.follow()
        return run

    def run_of(self, name: str) -> Run:
        """The run of a name or an identity, as it stands now."""
        return self.run(name)

    def following(self, record: RunRecord) -> Following:
        """The one follower of a run that another process drives; started when first asked for."""
        with self._lock:
            known = self._following.get(record.id)
            if known is None or known.done.done():
                known = self._following[record.id] = Following(self, record, known)
            return known

    def resume(
        self,
        run: Run | str,
        *,
        task: Task | None = None,
        workers: int | None = None,
        changes: Mapping[str, Any] | None = None,
    ) -> Run:
        """Go on with a run after a pause or a crash, as if nothing had happened.

        Starts a coordinator in this process if none holds the lab; asks the one that does, or the
        guest that has the run, if it is in another process.

        Args:
            run: The run, or its name.
            task: Needed when the task was defined in a cell; must be the task of the start.
            workers: Processes that share the work; by default as many as at the start.
            changes: Settings of the plan that are others from now on; see `Run.resume`.

        Raises:
            LabHeldError: Another process holds the lab, and cannot be handed a task or a change, or
                does not answer; then what it was asked for is taken back.
            RoundStateError: The run is over, or the holder cannot resume it.
            FingerprintError: The task is another one; says what differs.
        """
        from flnb.coordinator.coordinator import Coordinator  # it imports this module

        if isinstance(run, str):
            run = self.run(run)
        there = self.store.elsewhere(run.id)  # ours may be just starting
        if there is not None and (self.coordinator is None or not self.coordinator.guest):
            if task is not None or changes:
                since = f"{there.since:%Y-%m-%d %H:%M:%S} UTC"
                raise LabHeldError(self.address, str(there), since)
            if self._resumed_elsewhere(run):
                return self.run(run.id)
        coordinator = self.coordinator or Coordinator(self).start()
        return coordinator.resume(run, task, workers, changes)

    def _resumed_elsewhere(self, run: Run) -> bool:
        """Ask the coordinator of another process that has the run; False if it ends meanwhile."""
        try:
            ask(self, run.id, "resume", {}, longer_s=LONG_S)
        except RoundStateError:
            if self.store.elsewhere(run.id) is None:
                return False
            raise
        return True

    def sql(self, query: str, *, rows: int = 10_000, timeout_s: float = 5.0) -> Table:
        """Ask the tables `runs studies study_cells clients operations rounds assignments updates metrics events`.

        Args:
            query: Exactly one SELECT.
            rows: Answer at most so many rows.
            timeout_s: Give up after so long.

        Raises:
            QueryRefusedError: Not one SELECT, or over a limit.
        """
        with self.tables() as metrics:
            return metrics.query(query, rows=rows, timeout_s=timeout_s)

    @property
    def operations(self) -> Table:
        """The operations log: who did what to which branch, when and why; the newest last."""
        return operations(self.sql)

    @contextmanager
    def tables(self, run: RunRecord | None = None) -> Iterator[Metrics]:
        """The tables of `sql`, with every round that is durable.

        Args:
            run: Of which run rows are looked for; a guest has those of its own at hand.
        """
        coordinator = self.coordinator
        guest = coordinator.guest if coordinator is not None else ""
        if coordinator is not None and (not guest or (run is not None and run.guest == guest)):
            coordinator.flush()
            # Of the coordinator's own store: this lab may have been opened a second time.
            yield coordinator.lab.store.metrics
        else:
            with self.store.reader() as reader:
                yield reader

    def export_metrics(self, target: str | Path, tables: Sequence[str] = ()) -> Table:
        """Write the tables of `lab.sql` as Parquet files, `rounds.parquet` and so on.

        Args:
            target: A folder, or `s3://bucket/prefix`; files of before are replaced.
            tables: Only these; all by default.

        Returns:
            A row a file: its table, its rows, where it lies.

        Raises:
            NotFoundError: There is no such table, or no such bucket.
            AccessRefusedError: The bucket does not let us in.
            StorageUnreachableError: Its server does not answer.
            StoreError: The folder cannot be written, or s3fs is not installed.
        """
        with self.tables() as metrics:
            return export_tables(metrics.stream, target, tables)

    def expire(
        self, run: str | None = None, *, older_than: str = "30d", keep: str = KEEP
    ) -> ExpiryPreview:
        """Look at what letting old commits go would remove and free; `apply(reason=…)` does it.

        Whatever its age, no commit goes that is the last of a branch, on a protected branch, stood on
        by a branch or a roll back, or named.

        Args:
            run: A run, with all its branches; None is every run of the lab.
            older_than: Only commits of rounds that closed so long ago: `36h`, `30d`; a day at least.
            keep: What stays of those: `every 10th` (by number of the round), `best` (of each branch)
                and `tagged` (what is named stays anyway), with commas between.

        Raises:
            NotFoundError: There is no such run.
            PlanError: Not a time or too short a one, or a rule that is not known.
        """
        trunks = [self.store.state.run(run).trunk_name] if run else None
        if trunks is None:
            trunks = sorted({record.trunk_name for record in self.store.state.runs()})
        return LabExpiry(self, trunks, duration(older_than), keep)

    def verify(self, key: str = "") -> Verdict:
        """Read every commit and compare it with its row, and walk the operations log.

        Takes as long as reading all commits.

        Args:
            key: The public key of the log as it was noted elsewhere, in hexadecimal; by default that of
                the lab.
        """
        return verify(self.store, key)

    def picture(self, record: RunRecord) -> Picture:
        """The present picture of a run, from its row and its closed rounds."""
        return Picture.of(self.first_view(record), self.store.state.course(record.id, ROWS))

    def first_view(self, record: RunRecord) -> RunView:
        """The picture of a run before any of its rounds."""
        status = Status(record.status)
        if not status.over and self.store.driver(record) is None:
            status = Status.INTERRUPTED  # whoever drove it is gone
        waits = record.waits if status is Status.WAITING else None
        return RunView(
            name=record.name,
            branch=record.branch,
            generation=record.generation,
            status=status,
            rounds=Plan.from_stored(record.plan_yaml).rounds,
            started_at=record.created_at,
            error=record.error or "",
            lab=self.address,
            **(waits or {}),
        )

    def __repr__(self) -> str:
        """One line, from memory."""
        return f"Lab({self.address!r}, {self._known_runs} runs)"

    def _repr_mimebundle_(self, **_: object) -> Mapping[str, str]:
        coordinator = self.coordinator
        facts = {
            "shared" if self.store.state.shared else "folder": self.address,
            "runs": str(self._known_runs),
            "coordinator": repr(coordinator) if coordinator else "none in this process",
        }
        return cards.bundle(repr(self), cards.card(f"Lab {self.name}", facts))
