"""History as JSON, for the way between a service and whoever holds it."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import datetime
from typing import Any

from flnb.coordinator.control.plain import known, round_from_json, round_to_json
from flnb.coordinator.history.checkpoint import Checkpoint
from flnb.coordinator.history.difference import Difference
from flnb.coordinator.history.expiring import ExpiryPreview
from flnb.coordinator.history.graph import Lane
from flnb.coordinator.history.preview import Preview
from flnb.coordinator.history.replay import ReplayPreview
from flnb.coordinator.history.walk import KnownRound, Walk
from flnb.core.errors import PlanError
from flnb.core.ids import RunId
from flnb.store import Closing, Freed, RoundKey
from flnb.tensors import Layout
from flnb.transport.v1 import control_pb2 as pb

_OF_REPLAY = (
    *("name", "base", "until", "exclude", "train", "branch"),
    *("rounds", "missing", "empty", "short", "taken_out"),
)


def walk_to_json(walk: Walk) -> bytes:
    """Write the branches of a run."""
    lanes = [asdict(lane) | {"labels": list(lane.labels.items())} for lane in walk.lanes]
    return json.dumps({"title": walk.title, "rounds": walk.rounds, "lanes": lanes}).encode()


def walk_from_json(data: bytes) -> tuple[str, list[KnownRound], list[Lane]]:
    """Read the branches of a run: its name, its rounds and its lanes."""
    told = json.loads(data)
    rounds = [KnownRound(*row[: len(KnownRound._fields)]) for row in told["rounds"]]
    return told["title"], rounds, [_lane(one) for one in told["lanes"]]


def checkpoint_to_json(checkpoint: Checkpoint) -> bytes:
    """Write a committed round, without its values and without single clients."""
    told = {
        "name": checkpoint.name,
        "layout": checkpoint.layout.to_json(),
        "closing": round_to_json(checkpoint.closing, clients=False).decode(),
    }
    return json.dumps(told).encode()


def checkpoint_from_json(data: bytes) -> tuple[str, Layout, Closing]:
    """Read a committed round: name of the branch, layout and closing."""
    told = json.loads(data)
    closing = round_from_json(told["closing"].encode())
    assert isinstance(closing, Closing), "a checkpoint is closed"
    return told["name"], Layout.from_json(told["layout"]), closing


def difference_to_json(difference: Difference) -> bytes:
    """Write how two versions differ."""
    return json.dumps({"title": difference.title, "rows": list(difference.table)}).encode()


def difference_from_json(data: bytes) -> Difference:
    """Read how two versions differ."""
    told = json.loads(data)
    return Difference(told["title"], told["rows"])


def preview_to_json(preview: Preview) -> bytes:
    """Write what a roll back would do."""
    names = ("name", "seen", "base", "target", "leaves", "blocked_by")
    told = {name: getattr(preview, name) for name in names}
    return json.dumps(told | {"facts": preview.facts()}).encode()


def preview_from_json(data: bytes) -> dict[str, Any]:
    """Read what a roll back would do: what `Preview` is made of."""
    told: dict[str, Any] = json.loads(data)
    base = None if told["base"] is None else RoundKey(*told["base"])
    return told | {"seen": tuple(told["seen"]), "base": base}


def replay_to_json(preview: ReplayPreview) -> bytes:
    """Write what a replay would do."""
    return json.dumps({name: getattr(preview, name) for name in _OF_REPLAY}).encode()


def replay_from_json(data: bytes) -> dict[str, Any]:
    """Read what a replay would do: attributes of `ReplayPreview`."""
    told: dict[str, Any] = json.loads(data)
    base = None if told["base"] is None else RoundKey(*told["base"])
    return told | {"base": base, "until": RoundKey(*told["until"])}


def expiry_to_json(preview: ExpiryPreview) -> bytes:
    """Write which commits would go."""
    told = {
        "trunks": preview.trunks,
        "before": preview.before.isoformat(),
        "goes": preview.goes,
        "kept": list(preview.kept.items()),
        "leaves": preview.leaves,
        "freed": preview.freed,
    }
    return json.dumps(told).encode()


def expiry_from_json(data: bytes) -> dict[str, Any]:
    """Read which commits would go: attributes of `ExpiryPreview`."""
    told: dict[str, Any] = json.loads(data)
    return told | {
        "before": datetime.fromisoformat(told["before"]),
        "goes": [RoundKey(*key) for key in told["goes"]],
        "kept": {RoundKey(*key): why for key, why in told["kept"]},
        "freed": Freed(*told["freed"]),
    }


def which_from_json(text: str) -> int | str:
    """Read how somebody names a round.

    Raises:
        PlanError: It is neither a number nor a name.
    """
    try:
        which = json.loads(text)
    except ValueError:
        which = None
    if isinstance(which, bool) or not isinstance(which, int | str):
        raise PlanError(f"a round is a number or a name, got {text[:50]!r}")
    return which


def key_to_message(key: RoundKey) -> pb.RoundKey:
    """Write which round it is."""
    return pb.RoundKey(**key._asdict())


def key_from_message(message: pb.RoundKey) -> RoundKey:
    """Read which round it is."""
    return RoundKey(RunId(message.run), message.generation, message.round)


def _lane(told: dict[str, Any]) -> Lane:
    base = tuple(told["base"]) if told["base"] else None
    labels = {int(number): label for number, label in told["labels"]}
    changed = {"base": base, "commits": tuple(told["commits"]), "labels": labels}
    return Lane(**known(Lane, told | changed))
