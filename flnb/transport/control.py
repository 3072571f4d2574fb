"""The service that people's programs call: look at runs, start and steer them, let others in.

`METHODS` is the one table of who may do what. A method that is not in it cannot be called.
"""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol

from google.protobuf.message import Message

from flnb.transport.answering import Answering, Handlers, Watchdog
from flnb.transport.call import Call
from flnb.transport.convert import check_protocol
from flnb.transport.tokens import Claims, Role
from flnb.transport.v1 import control_pb2 as pb

SERVICE = "flnb.v1.Control"


@dataclass(frozen=True, slots=True)
class Method:
    """What a call needs."""

    role: Role
    """The least that the caller must be."""
    request: type[Message]


METHODS = {
    "Status": Method(Role.VIEWER, pb.StatusRequest),
    "Runs": Method(Role.VIEWER, pb.RunsRequest),
    "Run": Method(Role.VIEWER, pb.RunRequest),
    "Watch": Method(Role.VIEWER, pb.WatchRequest),
    "Events": Method(Role.VIEWER, pb.EventsRequest),
    "Known": Method(Role.VIEWER, pb.KnownRequest),
    "Vitals": Method(Role.VIEWER, pb.VitalsRequest),
    "Round": Method(Role.VIEWER, pb.RoundRequest),
    "RunPage": Method(Role.VIEWER, pb.PageRequest),
    "RoundPage": Method(Role.VIEWER, pb.PageRequest),
    "RoundAt": Method(Role.VIEWER, pb.RoundKey),
    "StudyPage": Method(Role.VIEWER, pb.PageRequest),
    "Study": Method(Role.VIEWER, pb.StudyRequest),
    "EventPage": Method(Role.VIEWER, pb.PageRequest),
    "Sql": Method(Role.VIEWER, pb.SqlRequest),
    "History": Method(Role.VIEWER, pb.HistoryRequest),
    "Checkpoint": Method(Role.VIEWER, pb.CheckpointRequest),
    "Diff": Method(Role.VIEWER, pb.DiffRequest),
    "Aliases": Method(Role.VIEWER, pb.HistoryRequest),
    "Preview": Method(Role.VIEWER, pb.CheckpointRequest),
    "Model": Method(Role.OPERATOR, pb.ModelRequest),
    "Export": Method(Role.OPERATOR, pb.ExportRequest),
    "Branch": Method(Role.OPERATOR, pb.BranchRequest),
    "Rollback": Method(Role.OPERATOR, pb.RollbackRequest),
    "Alias": Method(Role.OPERATOR, pb.AliasRequest),
    "Protect": Method(Role.ADMIN, pb.ProtectRequest),
    "Replay": Method(Role.OPERATOR, pb.ReplayRequest),
    "MakeReplay": Method(Role.OPERATOR, pb.MakeReplayRequest),
    "Expiry": Method(Role.OPERATOR, pb.ExpiryRequest),
    "Expire": Method(Role.ADMIN, pb.ExpireRequest),
    "Verify": Method(Role.OPERATOR, pb.VerifyRequest),
    "Simulate": Method(Role.OPERATOR, pb.SimulateRequest),
    "Start": Method(Role.OPERATOR, pb.StartRequest),
    "Pause": Method(Role.OPERATOR, pb.PauseRequest),
    "Resume": Method(Role.OPERATOR, pb.ResumeRequest),
    "Stop": Method(Role.OPERATOR, pb.StopRequest),
    "Clients": Method(Role.OPERATOR, pb.ClientsRequest),
    "Quarantine": Method(Role.OPERATOR, pb.QuarantineRequest),
    "Release": Method(Role.OPERATOR, pb.QuarantineRequest),
    "ClientPage": Method(Role.OPERATOR, pb.PageRequest),
    "OperationPage": Method(Role.OPERATOR, pb.PageRequest),
    "StopRound": Method(Role.ADMIN, pb.RoundKey),
    "Invite": Method(Role.ADMIN, pb.InviteRequest),
    "Revoke": Method(Role.ADMIN, pb.RevokeRequest),
    "Tokens": Method(Role.ADMIN, pb.TokensRequest),
    "Grant": Method(Role.ADMIN, pb.GrantRequest),
    "RevokeToken": Method(Role.ADMIN, pb.RevokeTokenRequest),
}
"""Every method of the service. Of Round and Sql a viewer gets aggregates only: see `Controls`."""


class Controls(Protocol):
    """Whoever owns what people look at and steer; called on the server's loop."""

    async def claims(self, token: str) -> Claims:
        """Read an access token, before a byte of the call's body is read.

        Asked again every half second while an answer goes on: one that raises ends it.

        Raises:
            AccessRefusedError: It is not one of ours, or was taken back.
            TokenExpiredError: It is too old.
        """
        ...

    def answer(
        self, claims: Claims, method: str, request: Message
    ) -> AsyncIterator[Message | bytes]:
        """Answer a call whose role is enough for the method.

        Args:
            claims: Who calls. What a method tells may depend on the role.
            method: A name in `METHODS`.
            request: What is asked.

        Yields:
            Messages, or raw chunks.

        Raises:
            FLBaseError: It is refused, for this reason.
        """
        ...

    async def close(self) -> None:
        """End what would go on for ever: the server stops."""
        ...


class Control:
    """Serves people's programs.

    Args:
        controls: Owns the state.
        answering: Where calls are answered.
    """

    def __init__(self, controls: Controls, answering: Answering) -> None:
        self._controls, self._answering = controls, answering

    def handlers(self) -> Handlers:
        """What gRPC is told of this service."""
        answers = {name: functools.partial(self._answer, name) for name in METHODS}
        return self._answering.handlers(SERVICE, answers)

    async def _answer(self, name: str, call: Call) -> None:
        method = METHODS[name]
        claims = await self._answering.known(call, self._controls.claims, method.role)
        request = await call.first(method.request)
        if isinstance(request, pb.StatusRequest | pb.WatchRequest | pb.EventsRequest):
            check_protocol(request.protocol, request.version)
        async with Watchdog(self._controls.claims, call) as watch:
            watch.at_work()
            async for part in self._controls.answer(claims, name, request):
                watch.moved()
                if isinstance(part, bytes):
                    await call.write_raw(part)
                else:
                    await call.write(part)
                watch.moved()
