"""What a service is told to do with runs: simulate clients, start, pause, resume, stop."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from flnb.coordinator.control.looks import Looks
from flnb.coordinator.history.holding import longer_at_most
from flnb.core.errors import FLBaseError, LabHeldError, PlanError, RoundStateError, TaskError
from flnb.core.plan import Plan
from flnb.transport import Claims
from flnb.transport.v1 import control_pb2 as pb

if TYPE_CHECKING:
    from flnb.coordinator.coordinator import Coordinator
    from flnb.tasks import Task

_KEPT_TASKS = 8
LONGER_S = 20.0
"""So long a thread, of which there are few for everybody, waits for a guest that has begun what it is asked for."""


class Orders:
    """Answers that change runs; all of them block.

    Args:
        coordinator: Who is told.
        looks: Says how a run stands then.
    """

    def __init__(self, coordinator: Coordinator, looks: Looks) -> None:
        self._coordinator, self._looks = coordinator, looks
        self._tasks: dict[tuple[str, str], Task] = {}
        self.answers: Mapping[str, Any] = {
            "Simulate": self._simulate,
            "Start": self._start,
            "Pause": self._pause,
            "Resume": self._resume,
            "Stop": self._stop,
        }

    def _simulate(self, _: Claims, request: pb.SimulateRequest) -> pb.SimulateReply:
        settings = settings_of(request.settings)
        population = self._coordinator.simulate(self._task(request.task), **settings)
        return pb.SimulateReply(population=json.dumps(population.card))

    def _start(self, claims: Claims, request: pb.StartRequest) -> pb.RunReply:
        plan, task = Plan.from_yaml(request.plan), self._task(request.task)
        run = self._coordinator.run(plan, task, name=request.name or None)
        return self._looks.reply(claims, run)

    def _pause(self, _: Claims, request: pb.PauseRequest) -> pb.ToldReply:
        self._coordinator.lab.run(request.run).pause()
        return pb.ToldReply()

    def _resume(self, claims: Claims, request: pb.ResumeRequest) -> pb.RunReply:
        workers = request.workers if request.HasField("workers") else None
        changes = settings_of(request.changes)
        # By the lab, which asks the guest that has the run if there is one.
        with in_other_hands():
            run = self._coordinator.lab.resume(request.run, workers=workers, changes=changes)
        return self._looks.reply(claims, run)

    def _stop(self, _: Claims, request: pb.StopRequest) -> pb.ToldReply:
        self._coordinator.lab.run(request.run).stop()
        return pb.ToldReply()

    def _task(self, name: pb.TaskName) -> Task:
        """Make the task that somebody has elsewhere, and make sure that it is the same.

        Raises:
            TaskError: It cannot be made here, may not be, or is another one.
        """
        from flnb.tasks import Fingerprint, TaskRef, load

        key = name.use, name.arguments
        task = self._tasks.get(key)
        if task is None:
            arguments = settings_of(name.arguments)
            try:
                task = load(TaskRef(name.use, arguments), marked_only=True)
            except FLBaseError:
                raise
            # Whatever their function raises is theirs to see.
            except (Exception, SystemExit) as error:
                raise TaskError(
                    f"{name.use} failed here: {type(error).__name__}: {error}"
                ) from error
            if len(self._tasks) >= _KEPT_TASKS:
                del self._tasks[next(iter(self._tasks))]
            self._tasks[key] = task
        there = Fingerprint(**settings_of(name.fingerprint))
        if differs := there.differs(task.fingerprint()):
            parts = "; ".join(
                f"{part}: {one} there, {here} here" for part, (one, here) in differs.items()
            )
            raise TaskError(
                f"the coordinator makes another task of {name.use} ({parts})",
                hint="bring code and data on both sides to the same state",
            )
        return task


@contextmanager
def in_other_hands() -> Iterator[None]:
    """Ask for something that the guest does which has the run, if there is one; not for long.

    Raises:
        RoundStateError: It cannot be asked for that, or does not answer; says whether what was asked is
            taken back, or goes on. Where the lab lies is not said.
    """
    try:
        with longer_at_most(LONGER_S):
            yield
    except LabHeldError as error:
        raise RoundStateError(
            f"the run is in the hands of {error.holder} since {error.since}", hint=error.hint
        ) from error


def settings_of(text: str) -> dict[str, Any]:
    """Read settings that travelled as JSON.

    Raises:
        PlanError: They are none.
    """
    try:
        settings = json.loads(text or "{}")
    except ValueError as error:
        raise PlanError(f"settings are not JSON: {error}") from error
    if not isinstance(settings, dict):
        raise PlanError("settings are names with values")
    return settings
