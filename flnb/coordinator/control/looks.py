"""What a service shows of its lab: runs, rounds, tables, models; to viewers without single clients."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from flnb.coordinator.control.plain import error_to_json, round_to_json, view_to_json
from flnb.coordinator.control.plain_history import key_from_message
from flnb.coordinator.control.telling import QUOTING
from flnb.coordinator.local import LocalRun
from flnb.coordinator.run import Run
from flnb.core.clock import SYSTEM_CLOCK
from flnb.core.errors import QueryRefusedError
from flnb.core.ids import RunId
from flnb.core.view import RunView
from flnb.store import HIDDEN, aggregates, plan_viewed
from flnb.transport import Claims
from flnb.transport.tokens import Role, allows
from flnb.transport.v1 import control_pb2 as pb

if TYPE_CHECKING:
    from flnb.coordinator.coordinator import Coordinator

_MOST_ROWS = 10_000_000
_LEAST_S, _MOST_S = 0.1, 60.0
"""How long a question may take."""
_MOST_ASKED = 100


class Looks:
    """Answers that change nothing; all of them block.

    Args:
        coordinator: Who is looked at.
    """

    def __init__(self, coordinator: Coordinator) -> None:
        self._coordinator = coordinator
        self.asked: dict[RunId, None] = {}
        """Runs that were looked up last, the newest at the end; somebody may hold them."""
        self.answers: Mapping[str, Any] = {
            "Status": self._status,
            "Runs": self._runs,
            "Run": self._run,
            "Round": self._round,
            "Sql": self._sql,
            "Model": self._model,
        }

    def state(self, claims: Claims) -> str:
        """The coordinator itself, as JSON; where its lab lies is for operators."""
        standing = self._coordinator.standing
        shown = standing if sees_clients(claims) else replace(standing, folder="")
        return json.dumps(asdict(shown))

    def reply(self, claims: Claims, run: Run) -> pb.RunReply:
        """A run, for whoever asks for it by name or changed it."""
        at = now()
        self.asked.pop(run.id, None)
        self.asked[run.id] = None
        if len(self.asked) > _MOST_ASKED:
            del self.asked[next(iter(self.asked))]
        plan = run.source.plan_yaml
        return pb.RunReply(
            id=run.id,
            name=run.name,
            plan=plan if sees_clients(claims) else plan_viewed(plan),
            view=view_to_json(shown_to(claims, run.view)),
            parameters_sha256=run.parameters_sha256,
            error=self.error(claims, run.id),
            rows=self._coordinator.lab.store.state.rows_of_line(run.id),
            at=at,
        )

    def error(self, claims: Claims, run_id: RunId) -> str:
        """Why a run that was driven here rests, as JSON; for operators."""
        coordinator = self._coordinator
        if not (coordinator.drives(run_id) and sees_clients(claims)):
            return ""
        done = coordinator.done(run_id)
        return error_to_json(done.result()) if done.done() else ""

    def _status(self, claims: Claims, _: pb.StatusRequest) -> pb.StatusReply:
        lab = self._coordinator.lab.id
        return pb.StatusReply(lab=lab, state=self.state(claims), role=str(claims.role))

    def _runs(self, _claims: Claims, _: pb.RunsRequest) -> pb.RunsReply:
        records = self._coordinator.lab.store.state.runs()
        return pb.RunsReply(
            runs=[
                pb.RunSummary(
                    id=one.id,
                    name=one.name,
                    status=one.status,
                    task=one.task_name,
                    waits_for=one.waits_for,
                )
                for one in records
            ]
        )

    def _run(self, claims: Claims, request: pb.RunRequest) -> pb.RunReply:
        return self.reply(claims, self._coordinator.lab.run(request.run))

    def _round(self, claims: Claims, request: pb.RoundRequest) -> bytes:
        found = self._coordinator.lab.run(request.run).source.closing(request.round)
        return round_to_json(found, clients=sees_clients(claims))

    def _sql(self, claims: Claims, request: pb.SqlRequest) -> bytes:
        rows, timeout_s = min(request.rows, _MOST_ROWS), _within(request.timeout_s)
        lab = self._coordinator.lab
        if sees_clients(claims):
            return lab.sql(request.query, rows=rows, timeout_s=timeout_s).to_ipc()
        self._coordinator.flush()
        metrics = lab.store.metrics
        return aggregates(metrics, request.query, rows=rows, timeout_s=timeout_s).to_ipc()

    def _model(self, _claims: Claims, request: pb.ModelRequest) -> tuple[Any, ...]:
        source = self._coordinator.lab.run(request.run).source
        assert isinstance(source, LocalRun), "runs of a lab are local"
        if request.HasField("round"):
            model = source.history().at(key_from_message(request.round)).model()
        else:
            model = source.model()
        head = pb.ModelHead(
            layout=model.layout.to_json(),
            n_values=len(model.values),
            n_integers=len(model.integers),
            sha256=model.sha256(),
        )
        return head, model.values.data.cast("B"), model.integers.data.cast("B")


def _within(timeout_s: float) -> float:
    """How long a question is worked on, of what was asked for."""
    if math.isnan(timeout_s):
        raise QueryRefusedError("timeout_s is not a number", hint="say how many seconds")
    return min(max(timeout_s, _LEAST_S), _MOST_S)


def sees_clients(claims: Claims) -> bool:
    """Whether what became of single clients may be told."""
    return allows(claims.role, Role.OPERATOR)


def shown_to(claims: Claims, view: RunView) -> RunView:
    """A picture without words that may quote a client, for those who must not see them."""
    if sees_clients(claims):
        return view
    hidden: dict[str, Any] = {name: HIDDEN for name in QUOTING if getattr(view, name)}
    return replace(view, **hidden)


def now() -> int:
    """When something was looked at; of two, the higher is newer."""
    return round(SYSTEM_CLOCK.monotonic_s() * 1e6)
