"""From a plan and a task to something that can be driven, for the first time or again."""

from __future__ import annotations

import platform
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from flnb.coordinator.closer import Version
from flnb.coordinator.history.falling_back import check_base, fall_back
from flnb.coordinator.history.reading import whole_model, whole_optimiser
from flnb.coordinator.history.starting import started_version
from flnb.coordinator.job import Job, Outset
from flnb.coordinator.naming import check_part
from flnb.coordinator.picture import Picture
from flnb.coordinator.population import Population, Simulation
from flnb.coordinator.replaying import Replay
from flnb.core.check import unknown_names
from flnb.core.clock import SYSTEM_CLOCK
from flnb.core.errors import DamagedError, FingerprintError, PlanError, RoundStateError, TaskError
from flnb.core.failpoints import reach
from flnb.core.ids import RunId, new_run_id, new_run_name
from flnb.core.plan import Plan
from flnb.core.view import Status
from flnb.store import Closing, Head, LabStore, RunRecord
from flnb.strategies import Strategy
from flnb.tensors import Shelf, unpack

if TYPE_CHECKING:
    from flnb.tasks import Task
    from flnb.tensors import Layout

CHANGEABLE = {"rounds", "invite", "need", "deadline_s", "close", "evaluation", "commit_every"}
CHANGEABLE |= {"exclude", "keep_updates", "guards"}
"""Settings that decide who is asked, when rounds close and what is kept, and not what a client
computes."""


def check_name(store: LabStore, name: str) -> None:
    """Find out whether a new run can be called so.

    Raises:
        PlanError: The name is taken or cannot be one.
    """
    records = store.state.runs()
    for record in records:
        if record.id == name != record.name:
            raise PlanError(
                f"{name!r} is the identity of the run {record.name!r}", hint="choose another name"
            )
    taken = {record.name: record.status for record in records}
    if (status := taken.get(name)) is not None:
        hint = f"lab.resume({name!r}) goes on"
        if status in {Status.FINISHED, Status.STOPPED}:
            hint = f"choose another name; lab.run({name!r}) is {status}"
        raise PlanError(f"the lab has a run {name!r} already", hint=hint)
    check_part(name, "run")


def new_record(
    store: LabStore, plan: Plan, task: Task, simulation: Simulation, name: str | None
) -> RunRecord:
    """Describe a run so that another process can go on with it.

    Raises:
        PlanError: The name is taken or cannot be one.
    """
    if name is None:
        name = new_run_name({record.name for record in store.state.runs()})
    check_name(store, name)
    now = SYSTEM_CLOCK.now()
    return RunRecord(
        id=new_run_id(),
        name=name,
        plan_yaml=plan.to_yaml(),
        plan_hash=plan.hash,
        task_ref=asdict(task.ref) if task.ref else None,
        task_name=task.name,
        fingerprint=asdict(task.fingerprint()),
        layout=task.layout.to_json(),
        environment=environment(),
        simulation=simulation.to_json(),
        status=Status.RUNNING,
        branch="main",
        generation=1,
        created_at=now,
        updated_at=now,
        error="",
    )


def first_version(plan: Plan, task: Task) -> Version:
    """The version before the first round: named by the seed, so it need not be stored."""
    model = task.initial_model(plan.seed)
    strategy: Strategy = plan.strategy.compose()
    return Version(0, model, strategy.server.init(model.layout))


def resumed_job(
    store: LabStore,
    record: RunRecord,
    task: Task | None,
    known: Iterable[Task],
    workers: int | None,
    changes: Mapping[str, Any],
    populate: Callable[[Task, Simulation], Population],
) -> Job:
    """Put together what a run needs to go on from its last durable version.

    Raises:
        PlanError: The changes cannot work, or may not be made on the way.
        RoundStateError: The run is over.
        TaskError: The task came from a cell and was not given.
        FingerprintError: The task is another than the one of the start.
    """
    if record.status in {Status.FINISHED, Status.STOPPED}:
        raise RoundStateError(f"run {record.name!r} is {record.status}: nothing is left to do")
    task = same_task(record, task, known)
    plan = changed_plan(record, task, changes)
    settings: dict[str, Any] = dict(record.simulation)
    if workers is not None:
        settings["workers"] = workers
    population = populate(task, Simulation(**settings))
    shelf = Shelf(store.path)
    start, head = _start(store, record, plan, task, shelf)
    if changes:
        # Rounds that were closed but never saved, before a crash, are forgotten: they are done
        # again, and now by the changed plan.
        record = replace(record, plan_yaml=plan.to_yaml(), plan_hash=plan.hash)
        store.state.set_plan(record.id, record.plan_yaml, plan.hash, forget_after=start.round)
    store.writer.reset(record.id, head.snapshot)  # drops a commit that no closing names
    reach("branch-reset")
    failed = store.state.failed_attempts(record.id)
    line = store.state.line(record.id).segments
    job = Job(record, plan, plan.strategy.compose(), population, Outset(start, shelf), failed, line)
    return replace(job, closed=head.round, replay=_replay(store, job))


def _replay(store: LabStore, job: Job) -> Replay | None:
    """What does rounds again from kept updates, if this generation has some left to do."""
    newest = {row.generation: row for row in store.state.generations(job.record.id)}
    row = newest.get(job.record.generation)
    if row is None or row.replays is None or job.start.round >= row.replays.round:
        return None
    return Replay(store, row.replays, job.plan.exclude, job.population.engine)


def changed_plan(record: RunRecord, task: Task, changes: Mapping[str, Any]) -> Plan:
    """The plan by which a run goes on.

    Raises:
        PlanError: A setting that is settled at the start, or values that cannot work.
    """
    plan = Plan.from_stored(record.plan_yaml)
    if not changes:
        check_guards(plan, task)  # a branch may have others than the run that it left
        return plan
    for name in changes:
        if name not in CHANGEABLE:
            raise PlanError(
                f"{name!r} is settled when a run starts; what may change is "
                + ", ".join(sorted(CHANGEABLE)),
                hint="start a new run with the other plan",
            )
    plan = plan.replace(**changes)
    if not (check := plan.check(task)).ok:
        raise PlanError(f"the changed plan cannot work:\n{check!r}")
    return plan


def check_guards(plan: Plan, task: Task) -> None:
    """See that a run of this plan measures what its guards name.

    Raises:
        PlanError: It never does.
    """
    if plan.guards and (errors := unknown_names(plan, task.summary())):
        raise PlanError("\n".join(errors))


def end_resting(store: LabStore, run_id: RunId, picture: Picture | None) -> None:
    """End a run that rests; one that is finished stays so. Needs the lab's lease.

    Raises:
        RoundStateError: A guest has come that drives it.
    """
    if store.state.run(run_id).status is not Status.FINISHED:
        store.state.stop_resting(run_id)
        if picture is not None:
            picture.on_status(Status.STOPPED)


def _start(
    store: LabStore, record: RunRecord, plan: Plan, task: Task, shelf: Shelf
) -> tuple[Version, Head]:
    """The last version that is whole, and the head that it is of."""
    while (head := store.state.head(record.id)).closing is not None:
        check_base(store, record, head)
        try:
            version = _restored(store, record, head.closing, task.layout, shelf)
        except DamagedError as error:
            fall_back(store, record, head, error)
        else:
            _compare_environment(record)
            return version, head
    check_base(store, record, head)
    if record.start:
        return started_version(store, record, plan, task.layout), head
    return first_version(plan, task), head


def _restored(
    store: LabStore, record: RunRecord, closing: Closing, layout: Layout, shelf: Shelf
) -> Version:
    """A committed version, with the server optimiser's state where it is of the same optimiser."""
    model = whole_model(store, closing, layout, shelf.vector_to_read)
    optimiser = Plan.from_stored(record.plan_yaml).strategy.compose().server.init(layout)
    if _same_server(store, record, closing):
        optimiser = unpack(optimiser, whole_optimiser(store, closing))
    return Version(closing.round, model, optimiser)


def _same_server(store: LabStore, record: RunRecord, closing: Closing) -> bool:
    """Whether the commit is of a run with the same server optimiser; a branch may have another."""
    if closing.run == record.id:
        return True
    plans = (record.plan_yaml, store.state.run(closing.run).plan_yaml)
    servers = [Plan.from_stored(text).strategy.compose().server for text in plans]
    return type(servers[0]) is type(servers[1])


def same_task(record: RunRecord, task: Task | None, known: Iterable[Task]) -> Task:
    """Find the run's task and make sure that it is the one of the start."""
    from flnb.tasks import Fingerprint, TaskRef, load  # brings torch; reading a lab needs none

    started_with = Fingerprint(**record.fingerprint)
    if task is None:
        task = next((one for one in known if one.fingerprint() == started_with), None)
    if task is None:
        if record.task_ref is None:
            raise TaskError(
                f"the task of run {record.name!r} was defined in a notebook or script",
                hint=f"run that cell again, then lab.resume({record.name!r}, task=task)",
            )
        task = load(TaskRef(**record.task_ref))
    if differs := started_with.differs(task.fingerprint()):
        raise FingerprintError(record.name, differs)
    return task


def environment() -> dict[str, str]:
    """What the bits of a result may depend on."""
    import torch  # a run has a task, and a task has torch

    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "cpu": torch.backends.cpu.get_cpu_capability(),
        "machine": platform.machine(),
    }


def _compare_environment(record: RunRecord) -> None:
    was, now = record.environment, environment()
    if was != now:
        changed = ", ".join(
            f"{key} {was.get(key)} → {now[key]}" for key in now if was.get(key) != now[key]
        )
        warnings.warn(
            f"run {record.name!r} goes on elsewhere ({changed}): its results are equal within "
            "rounding, not bit for bit",
            stacklevel=4,
        )
