"""A run of a coordinator elsewhere."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import Future
from typing import Any

import numpy as np

from flnb.coordinator.control.afar import DistantCheckpoint, DistantPreview, DistantWalk
from flnb.coordinator.control.afar_again import DistantReplay
from flnb.coordinator.control.held import Held
from flnb.coordinator.control.plain import round_from_json
from flnb.coordinator.control.wire import Wire
from flnb.coordinator.history.aliases import plain_name
from flnb.coordinator.history.checkpoint import Checkpoint
from flnb.coordinator.history.replay import ReplayPreview
from flnb.core.errors import FLBaseError, IntegrityError, RoundStateError
from flnb.core.ids import RunId
from flnb.core.plan import plain
from flnb.core.progress import Later
from flnb.core.view import RunView
from flnb.store import Closing, FailedAttempt, Table
from flnb.tensors import Layout, Model
from flnb.transport.v1 import control_pb2 as pb

_MOST_ROWS, _TABLE_S = 10_000_000, 60.0


class DistantRun:
    """A run through a connection, as `RunSource`.

    Args:
        wire: Asks the service.
        held: What is known of the run.
    """

    def __init__(self, wire: Wire, held: Held) -> None:
        self._wire, self._held = wire, held

    @property
    def id(self) -> RunId:
        """See `RunSource`."""
        return self._held.id

    @property
    def name(self) -> str:
        """See `RunSource`."""
        return self._held.name

    @property
    def plan_yaml(self) -> str:
        """See `RunSource`."""
        return self._held.plan_yaml

    @property
    def view(self) -> RunView:
        """See `RunSource`."""
        return self._held.picture.view

    @property
    def here(self) -> bool:
        """See `RunSource`."""
        return False

    @property
    def role(self) -> str:
        """As whom the run is held."""
        return self._wire.greeting.role

    @property
    def later(self) -> Later | None:
        """See `RunSource`."""
        return self._wire.later

    def watch(self, watcher: Callable[[RunView], None]) -> Callable[[], None]:
        """See `RunSource`."""
        return self._held.picture.watch(watcher)

    def done(self) -> Future[FLBaseError | None]:
        """See `RunSource`."""
        if self._held.done.done() and self._wire.connected:
            # Somebody else may have resumed it, and the news of that be under way.
            self._wire.held("Run", pb.RunRequest(run=self.id))
        return self._held.done

    def pause(self) -> None:
        """See `RunSource`."""
        self._wire.tell("Pause", pb.PauseRequest(run=self.id))

    def stop(self) -> None:
        """See `RunSource`."""
        self._wire.tell("Stop", pb.StopRequest(run=self.id))

    def resume(self, changes: Mapping[str, Any]) -> DistantRun:
        """See `RunSource`."""
        request = pb.ResumeRequest(run=self.id, changes=plain_changes(changes))
        self._wire.held("Resume", request)
        return self

    @property
    def line(self) -> str:
        """See `RunSource`."""
        return self._wire.ask("Run", pb.RunRequest(run=self.id), pb.RunReply).rows

    def table(self, name: str, order: str) -> Table:
        """See `RunSource`."""
        query = f"SELECT * FROM {name} WHERE {self.line} ORDER BY {order}"  # noqa: S608  # the service's own words
        return self.ask(query, rows=_MOST_ROWS, timeout_s=_TABLE_S)

    def ask(self, query: str, *, rows: int, timeout_s: float) -> Table:
        """See `RunSource`."""
        request = pb.SqlRequest(query=query, rows=rows, timeout_s=timeout_s)
        return Table.from_ipc(self._wire.whole("Sql", request))

    def closing(self, number: int) -> Closing | FailedAttempt:
        """See `RunSource`."""
        request = pb.RoundRequest(run=self.id, round=number)
        return round_from_json(self._wire.whole("Round", request))

    def history(self) -> DistantWalk:
        """See `RunSource`."""
        return DistantWalk(self._wire, self.id)

    def fork(self, name: str, at: int | str | None, changes: Mapping[str, Any]) -> DistantRun:
        """See `RunSource`."""
        request = pb.BranchRequest(
            run=self.id,
            name=name,
            at=json.dumps(at),
            changes=plain_changes(changes),
            id=secrets.token_hex(8),
        )
        return DistantRun(self._wire, self._wire.held("Branch", request))

    def rollback(self, to: int | str) -> DistantPreview:
        """See `RunSource`."""
        return DistantPreview(self._wire, self.id, to)

    def replay(  # as in the port
        self, from_: int | str, exclude: Collection[str], train: bool
    ) -> ReplayPreview:
        """See `RunSource`."""
        return DistantReplay(self._wire, self.id, from_, exclude, train=train)

    def forget_updates(self, reason: str) -> int:
        """See `RunSource`."""
        raise _near_only("kept updates are deleted")

    def protect(self, protected: bool, reason: str) -> None:  # as in the port
        """See `RunSource`."""
        request = pb.ProtectRequest(run=self.id, protected=protected, reason=reason)
        self._wire.ask("Protect", request, pb.ToldReply)

    def give_alias(self, name: str, at: int | str, condition: str, reason: str) -> Checkpoint:
        """See `RunSource`."""
        return self._named(
            pb.AliasRequest(name=name, which=json.dumps(at), condition=condition, reason=reason)
        )

    def check_alias(self, name: str, at: int | str, condition: str) -> Checkpoint:
        """See `RunSource`."""
        request = pb.CheckpointRequest(run=self.id, which=json.dumps(at), condition=condition)
        checkpoint = DistantCheckpoint(self._wire, self._wire.whole("Checkpoint", request))
        plain_name(name, checkpoint.round)
        return checkpoint

    def give_alias_back(self, name: str, reason: str) -> Checkpoint:
        """See `RunSource`."""
        return self._named(pb.AliasRequest(name=name, reason=reason))

    def _named(self, request: pb.AliasRequest) -> Checkpoint:
        request.run = self.id
        return DistantCheckpoint(self._wire, self._wire.whole("Alias", request))

    def aliases(self) -> Table:
        """See `RunSource`."""
        return Table.from_ipc(self._wire.whole("Aliases", pb.HistoryRequest(run=self.id)))

    def model(self) -> Model:
        """See `RunSource`.

        Raises:
            IntegrityError: What arrived is not what was sent.
        """
        model, _ = model_of(self._wire, pb.ModelRequest(run=self.id))
        return model

    @property
    def parameters_sha256(self) -> str:
        """See `RunSource`."""
        told = self._wire.ask("Run", pb.RunRequest(run=self.id), pb.RunReply)
        return told.parameters_sha256


def model_of(wire: Wire, request: pb.ModelRequest) -> tuple[Model, str]:
    """Ask for a version, and its digest.

    Raises:
        IntegrityError: What arrived is not what was sent.
    """
    head_raw, *chunks = wire.parts("Model", request)
    head, data = pb.ModelHead.FromString(head_raw), b"".join(chunks)
    if len(data) != (expected := 4 * head.n_values + 8 * head.n_integers):
        raise IntegrityError(f"the model came with {len(data)} of {expected} bytes")
    values = np.frombuffer(data, np.float32, head.n_values)
    integers = np.frombuffer(data, np.int64, head.n_integers, 4 * head.n_values)
    model = Model(Layout.from_json(head.layout), values, integers)
    if (digest := model.sha256()) != head.sha256:
        raise IntegrityError("the model that came has another digest than the one that was sent")
    return model, digest


def plain_changes(changes: Mapping[str, Any]) -> str:
    """Settings of a plan as JSON; parts of a plan are written as what they are made of.

    Raises:
        PlanError: One of them is no part of a plan.
    """
    return json.dumps(dict(changes), default=plain)


def _near_only(what: str) -> RoundStateError:
    return RoundStateError(
        f"{what} where the lab is, not through a connection",
        hint="flnb.open(lab).run(name) there, also while its coordinator runs",
    )
