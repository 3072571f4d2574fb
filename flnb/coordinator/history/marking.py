"""What a run is marked with: aliases and protection given, kept updates forgotten, whoever holds the lab."""

from __future__ import annotations

from collections.abc import Mapping
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
    carry_out(
        lab, run, FORGET, lambda store: _forget(store, run, request), {"request": asdict(request)}
    )
    if lab.store.state.shared:
        lab.store.kept.expire(run, keep=0)  # each machine has those of the rounds that it drove
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
        _forget(store, run, request)


def _forget(store: LabStore, run: RunId, request: Request) -> None:
    """The row comes first: it is refused where another process holds the lab."""
    details = {"rounds": [key.round for key in store.kept.rounds(run)], "request": request.id}
    at = SYSTEM_CLOCK.now()
    store.state.append_operation(Operation(at, request.actor, FORGET, run, request.reason, details))
    store.kept.expire(run, keep=0)
