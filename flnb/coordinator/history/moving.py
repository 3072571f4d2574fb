"""Forks and roll backs, whoever holds the lab: this process, another one, or nobody.

The order of writes is that of `design/006-history.md`: the old head is kept alive, then one
transaction of the state database, which is the moment at which it has happened.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Self

from flnb.coordinator.history.holding import LONG_S, MOVED, alone, ask, carry_out
from flnb.coordinator.jobs import check_guards
from flnb.coordinator.naming import check_part
from flnb.core.clock import SYSTEM_CLOCK
from flnb.core.errors import HeadMovedError, NameTakenError
from flnb.core.failpoints import reach
from flnb.core.ids import RunId, new_run_id
from flnb.core.plan import Plan
from flnb.core.view import Status
from flnb.store import FailedAttempt, LabStore, Request, RoundKey, RunRecord

if TYPE_CHECKING:
    from flnb.coordinator.coordinator import Coordinator
    from flnb.coordinator.lab import Lab


def roll_back(
    lab: Lab, run: RunId, seen: tuple[int, int], base: RoundKey | None, request: Request
) -> None:
    """Let a branch go on from an earlier round, if its head is where it was seen.

    A run that goes on gives its open round up first; afterwards it rests.

    Raises:
        HeadMovedError: The head is elsewhere; nothing was done.
        RoundStateError: The branch is protected, or an alias is in the way.
        LabHeldError: Whoever holds the lab, in another process, does not answer.
    """
    coordinator, store = lab.coordinator, lab.store
    # Not whoever holds the lab: somebody who moves a head has it for moments, and is not asked.
    with_guest = store.guest_elsewhere(run) is not None
    if coordinator is not None and (not with_guest or coordinator.guest):
        roll_back_here(coordinator, run, seen, base, request)
    elif with_guest or not alone(
        store, "roll back", lambda store: move(store, run, seen, base, request)
    ):
        arguments = {"seen": seen, "base": base, "request": asdict(request)}
        answer = ask(lab, run, "rollback", arguments, longer_s=LONG_S)
        if answer.startswith(MOVED):
            now = json.loads(answer.removeprefix(MOVED))
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
        return MOVED + json.dumps(error.now)
    return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Branching:
    """A branch that is to be: what a coordinator elsewhere must know to make it."""

    name: str
    """Without the run's."""
    plan: Plan
    base: RoundKey | None
    """A committed round; None is the first version."""
    request: Request
    replays: RoundKey | None = None
    """Rounds up to this one are to be done again from kept updates."""

    def write(self, store: LabStore, run: RunId) -> None:
        """Make it, in one transaction.

        Args:
            store: The lab's store.
            run: The branch that it leaves.

        Raises:
            NameTakenError: The run has a branch of that name.
            LabHeldError: Another process holds the lab.
        """
        record, now = store.state.run(run), SYSTEM_CLOCK.now()
        made = replace(
            record,
            id=new_run_id(),
            name=f"{record.trunk_name}/{self.name}",
            branch=self.name,
            generation=1,
            plan_yaml=self.plan.to_yaml(),
            plan_hash=self.plan.hash,
            status=Status.PAUSED,
            error=None,
            protected=False,
            created_at=now,
            updated_at=now,
        )
        store.state.fork(made, self.base, self.request, self.replays)
        reach("head-moved")

    def arguments(self) -> dict[str, Any]:
        """The same as JSON."""
        said = {one.name: getattr(self, one.name) for one in fields(self)}
        return said | {"plan": self.plan.to_yaml(), "request": asdict(self.request)}

    @classmethod
    def of(cls, said: Mapping[str, Any]) -> Self:
        """What `arguments` gave."""
        keys = {name: RoundKey(*said[name]) if said[name] else None for name in ("base", "replays")}
        plan, asked = Plan.from_yaml(said["plan"]), Request(**said["request"])
        return cls(name=said["name"], plan=plan, request=asked, **keys)


def fork(lab: Lab, record: RunRecord, wanted: Branching) -> RunRecord:
    """Make a branch that stands on a round of another one; it rests until it is resumed.

    Args:
        lab: The lab.
        record: The branch that it leaves.
        wanted: The branch.

    Raises:
        PlanError: The name cannot be one, or guards name what the task does not measure.
        NameTakenError: The run has a branch of that name.
    """
    _check_name(lab, record, wanted.name)
    if lab.coordinator is not None:
        _check_task(lab.coordinator, record, wanted)
    made = f"{record.trunk_name}/{wanted.name}"
    carry_out(
        lab, record.id, "branch", lambda store: wanted.write(store, record.id), wanted.arguments()
    )
    return lab.store.state.run(made)


def answer_branch(coordinator: Coordinator, run: RunId, arguments: Mapping[str, Any]) -> None:
    """Carry out what another process asked for."""
    wanted = Branching.of(arguments)
    _check_task(coordinator, coordinator.lab.store.state.run(run), wanted)
    wanted.write(coordinator.lab.store, run)


def _check_task(coordinator: Coordinator, record: RunRecord, wanted: Branching) -> None:
    if (task := coordinator.task_of(record)) is not None:
        check_guards(wanted.plan, task)


def _check_name(lab: Lab, record: RunRecord, name: str) -> None:
    check_part(name, "branch")
    # The first branch has its name in no run's: rows of another one could not be told from its own.
    trunk_name = record.trunk_name
    trunk = record if record.name == trunk_name else lab.store.state.run(trunk_name)
    if name == trunk.branch:
        raise NameTakenError(
            f"{name!r} is the first branch of {trunk_name} already",
            hint="choose another name",
        )


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
