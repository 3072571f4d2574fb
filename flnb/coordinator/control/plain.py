"""Pictures, closed rounds, tasks and errors as JSON, for the way between a service and whoever holds it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, fields
from datetime import datetime
from typing import TYPE_CHECKING, Any

from flnb.core import errors
from flnb.core.errors import FLBaseError, TaskError
from flnb.core.ids import RunId
from flnb.core.view import Phase, RoundRow, RunView, Status
from flnb.store import HIDDEN, Closing, FailedAttempt
from flnb.transport.v1 import control_pb2 as pb

if TYPE_CHECKING:
    from flnb.tasks import Task

_COLUMNS = ("metrics", "assignments", "updates", "events")
_TIMES = ("opened_at", "closed_at", "ended_at")


def known(kind: Any, told: Mapping[str, Any]) -> dict[str, Any]:
    """What a class has a field for, of what a service says, which may be newer and say more."""
    names = {field.name for field in fields(kind)}
    return {name: value for name, value in told.items() if name in names}


def with_times(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row with its times as such; JSON has no word for one."""
    times = {key: row[key] for key in row if key.endswith("_at") and row[key] is not None}
    return {**row} | {key: datetime.fromisoformat(text) for key, text in times.items()}


def task_name(task: Task) -> pb.TaskName:
    """A task as it goes to a service: by its name, never as code.

    Raises:
        TaskError: It has none.
    """
    if task.ref is None:
        raise TaskError(
            f"the task {task.name!r} was defined in a notebook or script, and code is never sent",
            hint="put the function that makes it into a module that can be imported there, too, "
            "and decorate it with @flnb.tasks.importable",
        )
    return pb.TaskName(
        use=task.ref.use,
        arguments=json.dumps(dict(task.ref.arguments)),
        fingerprint=json.dumps(asdict(task.fingerprint())),
    )


def view_to_json(view: RunView) -> str:
    """Write a picture."""
    return json.dumps(asdict(view), default=_text)


def view_from_json(text: str) -> RunView:
    """Read a picture."""
    told = json.loads(text)
    started_at = told["started_at"]
    return RunView(
        **known(RunView, told)
        | {
            "status": Status(told["status"]),
            "phase": Phase(told["phase"]),
            "started_at": datetime.fromisoformat(started_at) if started_at else None,
            "rows": tuple(RoundRow(**known(RoundRow, row)) for row in told["rows"]),
            "curve": tuple((number, value) for number, value in told["curve"]),
        }
    )


def round_to_json(found: Closing | FailedAttempt, *, clients: bool) -> bytes:
    """Write a closed round, or a failed attempt.

    Args:
        found: The round.
        clients: Whether what became of single clients goes along, and words that may quote one.
    """
    told = {field.name: getattr(found, field.name) for field in fields(found)}
    if isinstance(found, FailedAttempt):
        told["reasons"] = told["reasons"] if clients else {}
    else:
        for name in _COLUMNS:
            shown = clients or name == "metrics"
            told[name] = {key: list(values) if shown else [] for key, values in told[name].items()}
        if told["expired"] and not clients:
            told["expired"] = told["expired"] | {"actor": "somebody", "reason": HIDDEN}
    return json.dumps(told, default=_text).encode()


def round_from_json(data: bytes) -> Closing | FailedAttempt:
    """Read a closed round, or a failed attempt."""
    told: dict[str, Any] = json.loads(data)
    told |= {name: datetime.fromisoformat(told[name]) for name in _TIMES if name in told}
    told["run"] = RunId(told["run"])
    if "reasons" in told:
        told["reasons"] = {int(row): story for row, story in told["reasons"].items()}
        return FailedAttempt(**known(FailedAttempt, told))
    return Closing(**known(Closing, told))


def error_to_json(error: FLBaseError | None) -> str:
    """Write an error with its numbers; "" when there is none."""
    if error is None:
        return ""
    plain = {name: value for name, value in vars(error).items() if _is_plain(value)}
    return json.dumps({"class": type(error).__name__, "fields": plain})


def error_from_json(text: str) -> FLBaseError | None:
    """Read an error: of the same class, with the same words and numbers."""
    if not text:
        return None
    told = json.loads(text)
    kind = getattr(errors, told["class"], FLBaseError)
    if not (isinstance(kind, type) and issubclass(kind, FLBaseError)):
        kind = FLBaseError
    # The classes make their words of their numbers; here both are there already.
    error: FLBaseError = kind.__new__(kind)
    Exception.__init__(error, told["fields"]["message"])
    vars(error).update(told["fields"])
    return error


def _is_plain(value: object) -> bool:
    if isinstance(value, Mapping):
        return all(isinstance(key, str) and _is_plain(item) for key, item in value.items())
    return isinstance(value, str | int | float | bool | None)


def _text(value: Any) -> Any:
    """What JSON has no word for: times, and numbers of NumPy."""
    return value.isoformat() if isinstance(value, datetime) else value.item()
