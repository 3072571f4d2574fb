"""Movable names of checkpoints: given under a condition, with all that they ever meant."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from flnb.coordinator.acting import request
from flnb.coordinator.history.marking import name_round
from flnb.coordinator.history.measured import measurements, series_until
from flnb.coordinator.history.timeline import BEST, HEAD
from flnb.core.errors import NotFoundError, PlanError, RoundStateError, did_you_mean
from flnb.core.expressions import Expression
from flnb.store import Table

if TYPE_CHECKING:
    from flnb.coordinator.history.checkpoint import Checkpoint
    from flnb.coordinator.lab import Lab
    from flnb.core.ids import RunId
    from flnb.store import LabStore


def give(lab: Lab, name: str, checkpoint: Checkpoint, *, condition: str, reason: str) -> None:
    """Let a name mean a checkpoint from now on.

    Args:
        lab: The lab.
        name: With or without its `@`.
        checkpoint: What it means.
        condition: Such as `accuracy > 0.9`, of what was measured up to that round, in the language
            of guards; empty is none.
        reason: Why; kept in the operations log.

    Raises:
        PlanError: The name cannot be one, or the condition cannot be read.
        RoundStateError: The checkpoint does not meet the condition; says by how much.
        LabHeldError: Whoever holds the lab, in another process, does not answer.
    """
    name = plain_name(name, checkpoint.round)
    check(lab.store, condition, checkpoint)
    name_round(lab, name, checkpoint.key, request(reason))


def plain_name(name: str, round_: int) -> str:
    """An alias without its `@`, for a round.

    Raises:
        PlanError: It cannot be one, or the round is what a run started from.
    """
    if not round_:
        raise PlanError("an alias names a closed round, and what is before the first goes by 0")
    name = name.removeprefix("@")
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9._-]{0,63}", name) or name in {HEAD, BEST}:
        raise PlanError(
            f"an alias begins with a letter and has letters, digits, '-', '_' and '.'; {HEAD!r} and "
            f"{BEST!r} are looked up and not given; got {name!r}"
        )
    return name


def check(store: LabStore, condition: str, checkpoint: Checkpoint) -> None:
    """Refuse a checkpoint that does not meet a condition; an empty one is met.

    Raises:
        PlanError: The condition cannot be read, or names what was not measured in that round.
        RoundStateError: It is not met; says by how much.
    """
    if not condition:
        return
    rule = Expression.parse(condition)
    here = [name for name, _ in measurements(checkpoint.closing)]
    for name in rule.names:
        # What was measured in an earlier round says nothing for this one, whoever measured it.
        if name not in here:
            kind = "metric" if "." in name else "central metric"
            raise PlanError(
                f"round {checkpoint.round} has no {kind} {name!r}", hint=did_you_mean(name, here)
            )
    finding = rule.look(series_until(store, checkpoint.key, rule.names, rule.window))
    if not finding.holds:
        raise RoundStateError(
            f"{condition} does not hold in round {checkpoint.round}: {finding.missing or finding}",
            hint="the alias stays where it was",
        )


def give_back(lab: Lab, run: RunId, name: str, reason: str) -> None:
    """Let a name mean again what it meant before.

    Raises:
        NotFoundError: There is no such alias, or it never meant anything else.
        LabHeldError: Whoever holds the lab, in another process, does not answer.
    """
    name, state = name.removeprefix("@"), lab.store.state
    given = state.names_over_time(run, name)
    if not given:
        raise NotFoundError("alias", name, state.names(run))
    if len(given) == 1:
        error = NotFoundError("earlier meaning of alias", name)
        error.hint = f"it was given once, to round {given[0].key.round}"
        raise error
    name_round(lab, name, given[-2].key, request(reason))


def table(store: LabStore, run: RunId) -> Table:
    """Every giving of a name to a round of this run, oldest first."""
    given = store.state.names_over_time(run)
    branches = {record.id: record.branch for record in store.state.runs()}
    return Table.of(
        {
            "name": [one.name for one in given],
            "branch": [branches[one.key.run] for one in given],
            "generation": [one.key.generation for one in given],
            "round": [one.key.round for one in given],
            "kind": [one.kind for one in given],
            "actor": [one.actor for one in given],
            "reason": [one.reason for one in given],
            "at": [one.at for one in given],
        }
    )
