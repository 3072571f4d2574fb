"""A coordinator that runs elsewhere, as people hold it: what `flnb.connect` returns."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flnb.coordinator.client_list import ClientList, ClientRow
from flnb.coordinator.control.afar_again import DistantExpiry
from flnb.coordinator.control.afar_studies import DistantStudies
from flnb.coordinator.control.distant import DistantRun, plain_changes
from flnb.coordinator.control.hearing import LabEvent, heard_over
from flnb.coordinator.control.plain import known, task_name, with_times
from flnb.coordinator.control.wire import Wire
from flnb.coordinator.granting import Grant, TokenList
from flnb.coordinator.history.expiring import KEEP, ExpiryPreview
from flnb.coordinator.history.verifying import Verdict
from flnb.coordinator.invitations import Invitation
from flnb.coordinator.operations import operations
from flnb.coordinator.population import Simulation
from flnb.coordinator.run import Run
from flnb.coordinator.run_list import RunList
from flnb.coordinator.standing import Card, Standing
from flnb.core import pages
from flnb.core.errors import FLBaseError
from flnb.core.ids import RunId
from flnb.core.plan import Plan
from flnb.core.view import Status
from flnb.store import Table, TokenRecord
from flnb.transport.v1 import control_pb2 as pb

if TYPE_CHECKING:
    from flnb.tasks import Task


@dataclass(frozen=True, slots=True)
class _Summary:
    """A run in a list."""

    id: RunId
    name: str
    status: Status
    task_name: str
    waits_for: str


class Connection:
    """A coordinator elsewhere; has the methods of `Coordinator` that make sense from elsewhere.

    Made by `flnb.connect`. What is asked is refused unless the role of its token is enough.

    Args:
        wire: Asks the service.
        address: Where it is.
    """

    def __init__(self, wire: Wire, address: str) -> None:
        self._wire, self.address = wire, address
        self.role = wire.greeting.role

    def close(self) -> None:
        """End the connection; the service and its runs go on."""
        self._wire.close()

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- clients and runs -----------------------------------------------------------------------

    def simulate(
        self,
        task: Task,
        clients: int | None = None,
        *,
        slow: float | str | None = None,
        drop: float = 0.0,
        workers: int | None = None,
    ) -> Card:
        """Let clients live where the coordinator is; see `Coordinator.simulate`.

        Returns:
            Shows the clients.

        Raises:
            TaskError: The task cannot be made there by its name.
        """
        settings = json.dumps(Simulation(clients, slow, drop, workers).to_json())
        request = pb.SimulateRequest(task=task_name(task), settings=settings)
        reply = self._wire.ask("Simulate", request, pb.SimulateReply)
        return Card(**json.loads(reply.population))

    def run(self, plan: Plan, task: Task, *, name: str | None = None) -> Run:
        """Start a run there and return at once; see `Coordinator.run`.

        Args:
            plan: How the rounds go.
            task: What is learned; it goes by its name, never as code, so it must be importable at
                the coordinator, from the same code and data.
            name: What to call it; made up when absent.

        Raises:
            PlanError: The plan cannot work with the clients there, or the name is taken.
            TaskError: The task cannot be made there by its name.
        """
        request = pb.StartRequest(task=task_name(task), plan=plan.to_yaml(), name=name or "")
        return self._run("Start", request)

    def attach(self, name: str) -> Run:
        """Find a run by name or identity.

        Raises:
            NotFoundError: There is none.
        """
        return self._run("Run", pb.RunRequest(run=name))

    def resume(
        self,
        run: Run | str,
        *,
        workers: int | None = None,
        changes: Mapping[str, Any] | None = None,
    ) -> Run:
        """Go on with a run; see `Run.resume`.

        Args:
            run: The run, or its name.
            workers: Processes that share the work there; by default as many as at the start.
            changes: Settings of the plan that are others from now on.
        """
        name = run if isinstance(run, str) else run.id
        changed = plain_changes(changes or {})
        return self._run("Resume", pb.ResumeRequest(run=name, changes=changed, workers=workers))

    def runs(self) -> RunList:
        """Every run of the lab, newest first."""
        told = self._wire.ask("Runs", pb.RunsRequest(), pb.RunsReply).runs
        runs = [
            _Summary(RunId(one.id), one.name, Status(one.status), one.task, one.waits_for)
            for one in told
        ]
        return RunList(self, runs)

    def run_of(self, name: str) -> Run:
        """The run of a name or an identity, as it stands now."""
        return self.attach(name)

    def sql(self, query: str, *, rows: int = 10_000, timeout_s: float = 5.0) -> Table:
        """Ask the lab; see `Lab.sql`. Viewers ask `runs studies study_cells rounds metrics events`."""
        request = pb.SqlRequest(query=query, rows=rows, timeout_s=timeout_s)
        return Table.from_ipc(self._wire.whole("Sql", request))

    @property
    def operations(self) -> Table:
        """The operations log of the lab, for operators; see `Lab.operations`."""
        return operations(self.sql)

    def expire(
        self, run: str | None = None, *, older_than: str = "30d", keep: str = KEEP
    ) -> ExpiryPreview:
        """Look at what letting old commits go would remove and free; see `Lab.expire`.

        An operator may look, an admin applies it.
        """
        return DistantExpiry(self._wire, run or "", older_than, keep)

    @property
    def studies(self) -> DistantStudies:
        """The studies of the lab, to look at."""
        return DistantStudies(self._wire)

    def verify(self, key: str = "") -> Verdict:
        """Let every commit and the operations log be checked there; see `Lab.verify`."""
        told = json.loads(self._wire.whole("Verify", pb.VerifyRequest(key=key)))
        return Verdict(**known(Verdict, told | {"problems": tuple(told["problems"])}))

    def _run(self, method: str, request: Any) -> Run:
        return Run(DistantRun(self._wire, self._wire.held(method, request)))

    # --- who may come in ------------------------------------------------------------------------

    @property
    def clients(self) -> ClientList:
        """The remote clients of the lab, and what they are doing."""
        told = json.loads(self._wire.ask("Clients", pb.ClientsRequest(), pb.ClientsReply).clients)
        rows = [ClientRow(**known(ClientRow, with_times(row))) for row in told]
        return ClientList(rows, self.standing.simulated)

    def invite(self, client: str, *, expires: str = "2h") -> Invitation:
        """Let a remote client join; see `Coordinator.invite`.

        Returns:
            Shows the line to run at the client. A certificate is named by its path there, where the
            coordinator is.
        """
        request = pb.InviteRequest(client=client, expires=expires)
        reply = self._wire.ask("Invite", request, pb.InviteReply)
        until = datetime.fromisoformat(reply.expires_at)
        return Invitation(client, until, reply.text, _path(reply.certificate))

    def revoke(self, client: str, reason: str = "revoked") -> None:
        """Shut a remote client out; see `Coordinator.revoke`."""
        self._wire.ask("Revoke", pb.RevokeRequest(client=client, reason=reason), pb.RevokeReply)

    def quarantine(self, client: str, reason: str) -> None:
        """Let a client rest; see `Coordinator.quarantine`."""
        request = pb.QuarantineRequest(client=client, reason=reason)
        self._wire.ask("Quarantine", request, pb.ToldReply)

    def release(self, client: str, reason: str = "") -> None:
        """Let a client be drawn again; see `Coordinator.release`."""
        request = pb.QuarantineRequest(client=client, reason=reason)
        self._wire.ask("Release", request, pb.ToldReply)

    def token(self, name: str, *, role: str = "viewer", expires: str = "30d") -> Grant:
        """Let a person hold the coordinator; see `Coordinator.token`, and `invite` here."""
        request = pb.GrantRequest(name=name, role=role, expires=expires)
        reply = self._wire.ask("Grant", request, pb.GrantReply)
        until = datetime.fromisoformat(reply.expires_at)
        return Grant(name, role, until, reply.text, _path(reply.certificate))

    @property
    def tokens(self) -> TokenList:
        """The people's tokens of the lab."""
        told = json.loads(self._wire.ask("Tokens", pb.TokensRequest(), pb.TokensReply).tokens)
        return TokenList([TokenRecord(**known(TokenRecord, with_times(row))) for row in told])

    def revoke_token(self, name: str) -> int:
        """Take all tokens of a person back; see `Coordinator.revoke_token`."""
        request = pb.RevokeTokenRequest(name=name)
        return self._wire.ask("RevokeToken", request, pb.RevokeTokenReply).count

    # --- looks ----------------------------------------------------------------------------------

    def panel(self) -> Any:
        """Show all runs as a page, in a cell; see `Run.panel`."""
        return pages.page("coordinator", self)

    def events(self, after: str = "") -> Iterator[LabEvent]:
        """Hear what happens there; see `Coordinator.events`. Who is cut off misses nothing durable.

        Raises:
            FLBaseError: Why nothing is told; also once the connection was closed.
        """
        return heard_over(self._wire, after)

    @property
    def connected(self) -> bool:
        """Whether the coordinator is being heard."""
        return self._wire.connected

    @property
    def ended(self) -> FLBaseError | None:
        """Why nothing more will be heard; None while it is, or is tried again."""
        return self._wire.ended

    @property
    def standing(self) -> Standing:
        """How the coordinator stands, as it was heard last."""
        return Standing(**known(Standing, json.loads(self._wire.state)))

    @property
    def loop_lag_s(self) -> float:
        """How late the coordinator's loop was at most in the last 15 s; asks it."""
        told = json.loads(self._wire.ask("Vitals", pb.VitalsRequest(), pb.VitalsReply).vitals)
        return float(told["loop_lag_s"])

    def __repr__(self) -> str:
        """One line, from memory."""
        return self.standing.line

    def _repr_mimebundle_(self, **_: object) -> Mapping[str, str]:
        there = f"{self.address}, as {self.role}"
        if not self._wire.connected:
            why = self._wire.ended.message if self._wire.ended is not None else "trying again"
            there += f"; not connected now: {why}"
        return self.standing.bundle(at=there)


def _path(text: str) -> Path | None:
    return Path(text) if text else None
