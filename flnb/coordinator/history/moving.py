"""Forks and roll backs, whoever holds the lab: this process, another one, or nobody.

The order of writes is that of `design/006-history.md`: the old head is kept alive, then one
transaction of the state database, which is the moment at which it has happened.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from flnb.coordinator.jobs import check_guards
from flnb.core.clock import SYSTEM_CLOCK
from flnb.core.errors import (
    HeadMovedError,
    LabHeldError,
    NameTakenError,
    PlanError,
    RoundStateError,
)
from flnb.core.failpoints import reach
from flnb.core.ids import RunId, new_run_id
from flnb.core.plan import Plan
from flnb.core.view import Status
from flnb.store import FailedAttempt, LabStore, Request, RoundKey, RunRecord

if TYPE_CHECKING:
    from flnb.coordinator.coordinator import Coordinator
    from flnb.coordinator.lab import Lab

ASK_INTERVAL_S = 0.05
_PATIENCE_S = 10.0
_MOVED = "head moved: "
"""Begins the answer of a coordinator elsewhere that found another head."""


def roll_back(
    lab: Lab, run: RunId, seen: tuple[int, int], base: RoundKey | None, request: Request
) -> None:
    """Let a branch go on from an earlier round, if its head is where it was seen.

    A run that goes on gives its open round up first; afterwards it rests.

    Raises:
        HeadMovedError: The head is elsewhere; nothing was done.
        RoundStateError: The branch is protected, or an alias is in the way.
    """
    coordinator, store = lab.coordinator, lab.store
    if coordinator is not None:
        roll_back_here(coordinator, run, seen, base, request)
    elif not _alone(store, "roll back", lambda store: move(store, run, seen, base, request)):
        arguments = {"seen": seen, "base": base, "request": asdict(request)}
        answer = ask(lab, run, "rollback", arguments)
        if answer.startswith(_MOVED):
            now = json.loads(answer.removeprefix(_MOVED))
            raise HeadMovedError(store.state.run(run).name, seen, (now[0], now[1]))


def roll_back_here(
    coordinator: Coordinator,
    run: RunId,
    seen: tuple[int, int],
    base: RoundKey | None,
    request: Request,
) -> None:
    """The same in the process that holds the lab; see `roll_back`."""
    store = coordinator.lab.store
    with coordinator.gate:  # from a look to the move nobody lets it go on, or moves its head too
        if not store.state.check_move(run, seen, base, request):
            return
        going_on = coordinator.give_up(run)
        try:
            move(store, run, seen, base, request)
        except BaseException:  # such as a round that was closed in the last moment, or a full disk
            if going_on and store.state.run(run).status is Status.PAUSED:
                coordinator.resume(coordinator.lab.run(run))  # as if nobody had asked
            raise
        coordinator.redraw(run)


def answer_roll_back(coordinator: Coordinator, run: RunId, arguments: Mapping[str, Any]) -> str:
    """Carry out what another process asked for; returns "" or that the head moved."""
    base = arguments["base"]
    seen = (arguments["seen"][0], arguments["seen"][1])
    try:
        roll_back_here(
            coordinator,
            run,
            seen,
            RoundKey(*base) if base else None,
            Request(**arguments["request"]),
        )
    except HeadMovedError as error:
        return _MOVED + json.dumps(error.now)
    return ""


def fork(
    lab: Lab,
    record: RunRecord,
    name: str,
    base: RoundKey | None,
    changes: Mapping[str, Any],
    request: Request,
    *,
    replays: RoundKey | None = None,
) -> RunRecord:
    """Make a branch that stands on a round of another one; it rests until it is resumed.

    Args:
        lab: The lab.
        record: The branch that it leaves.
        name: Of the branch, without the run's.
        base: A committed round; None is the first version.
        changes: Settings of its plan that are others; any may be.
        request: Who asks, and why.
        replays: Rounds up to this one are to be done again from kept updates.

    Raises:
        PlanError: The name cannot be one, or the plan cannot be.
        NameTakenError: The run has a branch of that name.
    """
    _check_name(lab, record, name)
    plan, now = Plan.from_yaml(record.plan_yaml).replace(**changes), SYSTEM_CLOCK.now()
    if lab.coordinator is not None and (task := lab.coordinator.task_of(record)) is not None:
        check_guards(plan, task)
    made = replace(
        record,
        id=new_run_id(),
        name=f"{record.trunk_name}/{name}",
        branch=name,
        generation=1,
        plan_yaml=plan.to_yaml(),
        plan_hash=plan.hash,
        status=Status.PAUSED,
        error=None,
        protected=False,
        created_at=now,
        updated_at=now,
    )
    _held(lab, "branch", lambda store: store.state.fork(made, base, request, replays))
    reach("head-moved")
    return lab.store.state.run(made.name)


def _check_name(lab: Lab, record: RunRecord, name: str) -> None:
    if not name.replace("-", "").replace("_", "").replace(".", "").isalnum():
        raise PlanError(f"a branch's name has letters, digits, '-', '_' and '.', got {name!r}")
    # The first branch has its name in no run's: rows of another one could not be told from its own.
    if name == lab.store.state.run(record.trunk_name).branch:
        raise NameTakenError(
            f"{name!r} is the first branch of {record.trunk_name} already",
            hint="choose another name",
        )


def ask(lab: Lab, run: RunId, verb: str, arguments: Mapping[str, Any]) -> str:
    """Ask the coordinator that holds the lab, in another process; returns what it answers.

    Raises:
        RoundStateError: It cannot, or ends meanwhile; says why.
    """
    state = lab.store.state
    asked = state.enqueue_command(run, verb, arguments)
    while (answer := state.command(asked.id).result) is None:
        if lab.store.holder is None:
            raise RoundStateError(
                "the coordinator that holds the lab ended before it answered", hint="try again"
            )
        time.sleep(ASK_INTERVAL_S)
    if answer == "done" or answer.startswith(_MOVED):
        return answer
    raise RoundStateError(f"the coordinator that holds the lab says: {answer}")


def _held(lab: Lab, why: str, write: Callable[[LabStore], object]) -> None:
    """Write rows that need no coordinator, under the lease of whoever holds the lab."""
    if lab.coordinator is not None or not _alone(lab.store, why, write):
        write(lab.store)  # a transaction of its own, that the holder sees whole or not at all


def _alone(store: LabStore, why: str, write: Callable[[LabStore], object]) -> bool:
    """Write under a lease of this process; whoever has the lab for such a moment is waited for.

    Returns:
        Whether it was written; False as soon as a coordinator holds the lab.

    Raises:
        LabHeldError: Somebody else has held it for too long.
    """
    give_up_s = SYSTEM_CLOCK.monotonic_s() + _PATIENCE_S
    while (holder := store.holder) is None or holder.who != "coordinator":
        try:
            lease = store.lease(why)
        except LabHeldError:
            if SYSTEM_CLOCK.monotonic_s() > give_up_s:
                raise
            time.sleep(ASK_INTERVAL_S)
            continue
        with lease:
            write(store)
        return True
    return False


def move(
    store: LabStore,
    run: RunId,
    seen: tuple[int, int],
    base: RoundKey | None,
    request: Request,
    *,
    repaired: FailedAttempt | None = None,
) -> None:
    """Keep the old head alive, then move it, under the lease of whoever holds the lab.

    For an attempt that a guard repairs the run goes on, otherwise it rests.

    Raises:
        HeadMovedError: The head is elsewhere; nothing was done.
        RoundStateError: The branch is protected, or an alias is in the way.
    """
    if (snapshot := store.state.head(run).snapshot) is not None:
        # With its name: a roll back that is refused leaves a tag, and the head may go on from there.
        store.writer.keep(f"{run}.{seen[0]}.{snapshot}", snapshot)
        reach("head-kept")
    store.state.move_head(run, seen, base, request, repaired)
    reach("head-moved")
