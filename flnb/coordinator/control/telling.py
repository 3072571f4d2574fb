"""Events as they travel, for those who see single clients and for those who do not."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from flnb.coordinator.client_list import ClientRow
from flnb.coordinator.picture import row_of
from flnb.core.clock import SYSTEM_CLOCK
from flnb.core.ids import RunId
from flnb.core.view import RunView
from flnb.store import HIDDEN, Closing, Forgotten, Glimpse, Operation, RoundKey

Event = tuple[str, str, Mapping[str, Any]]
"""Type, name of the run (or ""), data."""

ROUND_COMPLETE, TAKEN_BACK, OPERATION = "round_complete", "rounds_taken_back", "operation"
DURABLE = (ROUND_COMPLETE, TAKEN_BACK, OPERATION)
"""Types of what the database has: each is told once to whoever comes back with a cursor."""
SNAPSHOT, HEARTBEAT = "snapshot", "heartbeat"
TYPES = (
    SNAPSHOT,
    "round_started",
    "round_update",
    *DURABLE,
    "client_joined",
    "client_update",
    "run_changed",
    HEARTBEAT,
)

_ROUND = (
    *("branch", "generation", "round", "attempt", "closed_by", "opened_at", "closed_at"),
    *("seconds_s", "invited", "accepted", "refused", "failed", "lost", "late", "bytes_up"),
    *("snapshot", "parameters_sha256"),
)
_OPEN = ("phase", "invited", "accepted", "refused", "lost")
_STANDS = (
    *("status", "branch", "generation", "rounds", "round", "awaited", "here", "bytes_up"),
    *("seconds_a_round", "headline", "error", "noted"),
)
_SAYS_IT_CHANGED = ("status", "branch", "generation", "rounds", "awaited", "here", "error", "noted")
QUOTING = ("error", "noted")
"""Of a picture, the words that may quote a client: for operators, whichever way somebody looks."""
_PLAIN_DETAILS = ("left", "base", "generation", "round", "key", "name")
"""Of an operation's details, those that quote nobody."""


def durable(what: Closing | Forgotten | Operation, run: str, *, clients: bool) -> Event:
    """What the database has, as an event.

    Args:
        what: It.
        run: Name of its run.
        clients: Whether words may go along that may quote a client, and who did what.
    """
    if isinstance(what, Closing):
        return ROUND_COMPLETE, run, closed_round(what, clients=clients)
    if isinstance(what, Forgotten):
        told = {name: getattr(what, name) for name in ("branch", "generation", "after")}
        return TAKEN_BACK, run, {"run_id": what.run} | told
    return OPERATION, run, _operation(what, clients=clients)


def pictures(run_id: RunId, old: RunView | None, new: RunView, *, clients: bool) -> Iterator[Event]:
    """How one picture of a run differs from another one, as events."""
    run, at = {"run_id": run_id}, {"at": SYSTEM_CLOCK.now()}
    if old is None or any(getattr(old, name) != getattr(new, name) for name in _SAYS_IT_CHANGED):
        yield "run_changed", new.name, run | _stands(new, clients=clients) | at
    if not new.open_round:
        return
    counts = {name: getattr(new, name) for name in _OPEN}
    told = run | {"round": new.open_round, "generation": new.generation} | counts | at
    if old is None or old.open_round != new.open_round:
        yield "round_started", new.name, told
    elif any(getattr(old, name) != value for name, value in counts.items()):
        yield "round_update", new.name, told


def rested(old: Glimpse | None, new: Glimpse) -> Iterator[Event]:
    """The same for a run that is not driven here."""
    if old != new:
        told = {name: getattr(new, name) for name in ("status", "branch", "generation", "round")}
        yield "run_changed", new.name, {"run_id": new.id} | told | {"at": new.updated_at}


def run_in_full(glimpse: Glimpse, view: RunView | None, *, clients: bool) -> dict[str, Any]:
    """A run of a snapshot: all that its picture shows, if somebody drives it."""
    told = asdict(glimpse) | {"view": None}
    if view is not None:
        # How it stands in the database is older than what its driver shows.
        stands = {name: getattr(view, name) for name in ("status", "generation", "round")}
        told |= stands | {"view": asdict(view) | _stands(view, clients=clients)}
    return told


def client(row: ClientRow) -> dict[str, Any]:
    """A remote client of a snapshot."""
    return asdict(row)


def clients_moved(old: Mapping[str, str], new: Mapping[str, str]) -> Iterator[Event]:
    """Who came, who went, and who does something else; by what each does."""
    at = {"at": SYSTEM_CLOCK.now()}
    for name, state in new.items():
        told = {"client": name, "state": state} | at
        if name not in old:
            yield "client_joined", "", told
        elif old[name] != state:
            yield "client_update", "", told
    for name in old.keys() - new.keys():
        yield "client_update", "", {"client": name, "state": "offline"} | at


def to_json(data: Mapping[str, Any]) -> str:
    """Write the data of an event; numbers that JSON has no word for are null."""
    try:
        return json.dumps(data, default=_plain, separators=(",", ":"), allow_nan=False)
    except ValueError:
        return json.dumps(_finite(data), default=_plain, separators=(",", ":"))


def metrics_of(closing: Closing) -> Mapping[str, float]:
    """What a closed round shows of its measurements."""
    return row_of(closing).metrics


def closed_round(closing: Closing, *, clients: bool) -> dict[str, Any]:
    """A closed round, without rows of clients."""
    told = {"run_id": closing.run} | {name: getattr(closing, name) for name in _ROUND}
    row = row_of(closing)
    told |= {"metrics": row.metrics, "commit": row.commit, "expired": closing.expired}
    if closing.expired and not clients:
        told["expired"] = closing.expired | {"actor": "somebody", "reason": HIDDEN}
    return told


def _operation(done: Operation, *, clients: bool) -> dict[str, Any]:
    told = asdict(done)
    told["run_id"] = told.pop("run")
    if done.verb == "rollback":
        told["takes_back"] = _taken_back(done.details)
    if not clients:
        details = {name: done.details[name] for name in _PLAIN_DETAILS if name in done.details}
        told |= {"actor": "somebody", "reason": HIDDEN if done.reason else "", "details": details}
    return told


def _taken_back(details: Mapping[str, Any]) -> dict[str, Any]:
    """Which rounds do not lead to the head any more: those after one, up to one."""
    left = RoundKey(*details["left"])
    base = RoundKey(*details["base"]) if details.get("base") else None
    return {"generation": left.generation, "after": base.round if base else 0, "until": left.round}


def _stands(view: RunView, *, clients: bool) -> dict[str, Any]:
    told = {name: getattr(view, name) for name in _STANDS}
    if not clients:
        told |= {name: HIDDEN for name in QUOTING if told[name]}
    return told


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value.item()


def _finite(value: Any) -> Any:
    """The same, with null in the place of infinity and of what is no number."""
    if isinstance(value, Mapping):
        return {name: _finite(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    plain = value if isinstance(value, str | int | bool | None) else _number(value)
    return None if isinstance(plain, float) and plain - plain != 0 else plain


def _number(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else value
