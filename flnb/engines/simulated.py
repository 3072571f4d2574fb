"""What all engines share: the port, the order of answers, and how a report is put together.

An engine says only where clients are trained (`_train`) and where held-out blocks are measured
(`_measure`).
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Self

import numpy as np
from jaxtyping import Int64

from flnb.core import ClientId, CohortReport, MetricSum, Work
from flnb.core.errors import PlanError, RoundStateError, TaskError
from flnb.engines.behaviour import Behaviour
from flnb.engines.cohort import Cohort
from flnb.tasks import Task
from flnb.tensors import CohortSum, Model
from flnb.training import combine_blocks, find_training

KEPT_BYTES = 256 * 1024 * 1024
"""Single updates that are held at once where they are asked for: more come with the next report."""

Measurement = tuple[int, Mapping[str, MetricSum]]
"""A held-out block, by its position, and what was measured on it."""


class Cancelled(Exception):  # noqa: N818  # not an error: somebody asked for it
    """The work was called off."""


class SimulatedParticipants(ABC):
    """Simulated clients of a task, as `flnb.core.Participants`.

    Args:
        task: What is trained.
        behaviour: How slow the clients are and how often they drop out.
        clients: How many of the split's clients take part, the first ones; None is all.

    Raises:
        PlanError: The split has fewer clients than that.
    """

    def __init__(
        self, task: Task, behaviour: Behaviour | None = None, clients: int | None = None
    ) -> None:
        self._task = task
        self._behaviour = behaviour or Behaviour()
        self._clients = _first(task, clients)
        self._cohort: Cohort | None = None
        self._cancelled = threading.Event()
        self._closed = False
        # Held by whoever works; `close` waits for it.
        self._working = threading.Lock()

    @property
    def clients(self) -> Mapping[ClientId, int]:
        """Every client that may be invited, with its number of examples."""
        return self._clients

    def begin(self, work: Work, model: Model) -> None:
        """Hand out one stage of one cohort; replaces whatever was begun before.

        Raises:
            NotFoundError: The work names a client that there is not.
            TaskError: There is no local training of that name, the model is of another task, or
                this task cannot be sent to a worker.
            RoundStateError: The engine is closed.
        """
        with self._working:
            self._check_open()
            self._check_layout(model)
            find_training(work.half)
            self._cancelled.clear()
            self._open(work, model)
            self._layout = model.layout
            self._cohort = Cohort(work, self._behaviour, self._clients)

    def collect(
        self, limit: int | None = None, into: CohortSum | None = None
    ) -> CohortReport | None:
        """Train clients and report them in order of arrival.

        Args:
            limit: At most so many accepted rows, at least 1; None is all there will be.
            into: Left as it is: a cohort is reported at once but for quorums.

        Returns:
            At least one row; None when every row was reported, or when the work was cancelled.

        Raises:
            WorkerDiedError: A client's worker died again and again; the work is dropped.
            TaskError: The task cannot be built in a worker; the work is dropped.
            RoundStateError: The engine is closed.
        """
        assert limit is None or limit > 0, "a report of no updates would never end"
        with self._working:
            self._check_open()
            cohort, self._cohort = self._cohort, None  # dropped unless all goes well
            if cohort is None:
                return None
            try:
                report = self._collect(cohort, limit)
            except Cancelled:
                return None
            self._cohort = cohort
            return report

    def evaluate(self, model: Model) -> Mapping[str, MetricSum]:
        """Measure a model on the held-out data; empty when the task has none.

        Raises:
            WorkerDiedError: Workers died over the same block again and again.
            TaskError: The model is of another task, or this task cannot be built in a worker.
            RoundStateError: The engine is closed.
        """
        with self._working:
            self._check_open()
            self._check_layout(model)
            measured: dict[int, Mapping[str, MetricSum]] = {}
            blocks = range(len(self._task.test_blocks()))
            try:
                while missing := [block for block in blocks if block not in measured]:
                    measured.update(self._measure(model, missing))
            except Cancelled:
                self._check_open()  # says that the engine was closed, which alone calls this off
                raise
            return combine_blocks([measured[block] for block in blocks]) if blocks else {}

    def cancel(self) -> None:
        """Make a running `collect` return None soon; what was not reported is dropped."""
        self._cancelled.set()

    def close(self) -> None:
        """Call everything off, wait until it has stopped, and release it."""
        self._closed = True
        self.cancel()
        with self._working:
            self._cohort = None
            self._release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @abstractmethod
    def _open(self, work: Work, model: Model) -> None:
        """Get ready for a new piece of work."""

    @abstractmethod
    def _train(self, cohort: Cohort, rows: Int64[np.ndarray, " k"], sums: CohortSum) -> None:
        """Train clients, in any order: note their answers in `cohort`, add updates to `sums`.

        Those whose worker died may be left out, in both.

        Raises:
            Cancelled: Somebody called `cancel`.
        """

    @abstractmethod
    def _measure(self, model: Model, blocks: list[int]) -> Iterator[Measurement]:
        """Measure a model on held-out blocks; some may be missing if a worker died.

        Raises:
            Cancelled: Somebody called `close`.
        """

    @abstractmethod
    def _release(self) -> None:
        """Let go of everything; may be called twice."""

    def _collect(self, cohort: Cohort, limit: int | None) -> CohortReport | None:
        sums = CohortSum(self._layout)
        if cohort.work.keep_updates:
            portion = max(1, KEPT_BYTES // max(1, 4 * self._layout.n_values))
            limit = min(portion, limit or portion)
        # Again for those who failed, and for those who died with their worker.
        while len(rows := cohort.wanted(limit)):
            self._train(cohort, rows, sums)
        return cohort.report(limit, sums)

    def _check_layout(self, model: Model) -> None:
        layout = self._task.layout
        if model.layout is not layout and (reason := layout.differs_from(model.layout)):
            raise TaskError(f"this version is not of task {self._task.name!r}: {reason}")

    def _check_open(self) -> None:
        if self._closed:
            raise RoundStateError("these simulated clients are closed", hint="simulate new ones")


def _first(task: Task, clients: int | None) -> Mapping[ClientId, int]:
    population = task.clients
    if clients is None:
        return population
    if not 1 <= clients <= len(population):
        raise PlanError(
            f"cannot simulate {clients} clients: the split of {task.name!r} has {len(population)}",
            hint="split the data over more clients, or leave clients out to simulate all of them",
        )
    return MappingProxyType({client: population[client] for client in list(population)[:clients]})
