"""What a run is marked with: aliases and protection given, kept updates forgotten, whoever holds the lab."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from flnb.coordinator.history.holding import carry_out
from flnb.core.clock import SYSTEM_CLOCK
from flnb.core.ids import RunId
from flnb.store import LabStore, Operation, Request, RoundKey

if TYPE_CHECKING:
    from flnb.coordinator.coordinator import Coordinator
    from flnb.coordinator.lab import Lab

FORGET = "forget-updates"


def name_round(lab: Lab, name: str, key: RoundKey, request: Request) -> None:
    """Let an alias mean a round from now on.

    Raises:
        NameTakenError: The name is of a head that was left behind; it stays.
        LabHeldError: Whoever holds the lab, in another process, does not answer.
        RoundStateError: The round's commit has gone since somebody looked.
    """
    arguments = {"name": name, "key": list(key), "request": asdict(request)}
    carry_out(
        lab, key.run, "alias", lambda store: store.state.give_name(name, key, request), arguments
    )


def protect(lab: Lab, run: RunId, request: Request, *, protected: bool) -> None:
    """Let nobody move the head of a branch back, or again let them.

    Raises:
        LabHeldError: Whoever holds the lab, in another process, does not answer.
    """
    arguments = {"protected": protected, "request": asdict(request)}
    carry_out(
        lab,
        run,
        "protect",
        lambda store: store.state.protect(run, request, protected=protected),
        arguments,
    )


def forget_updates(lab: Lab, run: RunId, request: Request) -> int:
    """Delete every single update of a branch that is kept; returns of how many rounds.

    Raises:
        LabHeldError: Whoever holds the lab, in another process, does not answer.
    """
    # Each machine has the updates of the rounds that it drove: whoever writes the row knows its own.
    here = lab.store.kept.rounds(run)
    arguments = {"request": asdict(request), "rounds": [list(key[1:]) for key in here]}
    carry_out(lab, run, FORGET, lambda store: _forget(store, run, request, here), arguments)
    if lab.store.state.shared:
        lab.store.kept.expire(run, keep=0)
    noted = [one.details for one in lab.store.state.operations(run) if one.verb == FORGET]
    return sum(len(one["rounds"]) for one in noted if one.get("request") == request.id)


def answer(coordinator: Coordinator, run: RunId, verb: str, arguments: Mapping[str, Any]) -> None:
    """Carry out what another process asked for."""
    store, request = coordinator.lab.store, Request(**arguments["request"])
    if verb == "alias":
        store.state.give_name(arguments["name"], RoundKey(*arguments["key"]), request)
    elif verb == "protect":
        store.state.protect(run, request, protected=arguments["protected"])
    else:
        there = [RoundKey(run, *key) for key in arguments.get("rounds", ())]
        _forget(store, run, request, there)


def _forget(store: LabStore, run: RunId, request: Request, there: Collection[RoundKey]) -> None:
    """Delete first, then note what went: what this machine could not delete is in no row.

    Args:
        store: The lab's store.
        run: Whose updates.
        request: Who wants it, and why.
        there: Rounds whose updates whoever asked had: on another machine it deletes them right afterwards.
    """
    store.state.check_free(run)  # who may not write the row deletes nothing
    gone = sorted({*store.kept.expire(run, keep=0), *there})
    details = {"rounds": [key.round for key in gone], "request": request.id}
    at = SYSTEM_CLOCK.now()
    store.state.append_operation(Operation(at, request.actor, FORGET, run, request.reason, details))
