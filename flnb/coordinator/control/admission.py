"""What a service does for whoever lets others in: clients with invitations, people with passes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from flnb.transport import Claims
from flnb.transport.v1 import control_pb2 as pb

if TYPE_CHECKING:
    from flnb.coordinator.coordinator import Coordinator
    from flnb.coordinator.granting import Grant
    from flnb.coordinator.invitations import Invitation


class Admission:
    """Answers about who may come in; all of them block.

    Args:
        coordinator: Whom they come to.
    """

    def __init__(self, coordinator: Coordinator) -> None:
        self._coordinator = coordinator
        self.answers: Mapping[str, Any] = {
            "Clients": self._clients,
            "Quarantine": self._quarantine,
            "Release": self._release,
            "Invite": self._invite,
            "Revoke": self._revoke,
            "Tokens": self._tokens,
            "Grant": self._grant,
            "RevokeToken": self._revoke_token,
        }

    def _clients(self, _: Claims, __: pb.ClientsRequest) -> pb.ClientsReply:
        return pb.ClientsReply(clients=_json(self._coordinator.clients))

    def _quarantine(self, _: Claims, request: pb.QuarantineRequest) -> pb.ToldReply:
        self._coordinator.quarantine(request.client, request.reason)
        return pb.ToldReply()

    def _release(self, _: Claims, request: pb.QuarantineRequest) -> pb.ToldReply:
        self._coordinator.release(request.client, request.reason)
        return pb.ToldReply()

    def _invite(self, _: Claims, request: pb.InviteRequest) -> pb.InviteReply:
        made = self._coordinator.invite(request.client, expires=request.expires)
        return pb.InviteReply(**_handed_over(made))

    def _revoke(self, _: Claims, request: pb.RevokeRequest) -> pb.RevokeReply:
        self._coordinator.revoke(request.client, request.reason)
        return pb.RevokeReply()

    def _tokens(self, _: Claims, __: pb.TokensRequest) -> pb.TokensReply:
        return pb.TokensReply(tokens=_json(self._coordinator.tokens))

    def _grant(self, _: Claims, request: pb.GrantRequest) -> pb.GrantReply:
        made = self._coordinator.token(request.name, role=request.role, expires=request.expires)
        return pb.GrantReply(**_handed_over(made))

    def _revoke_token(self, _: Claims, request: pb.RevokeTokenRequest) -> pb.RevokeTokenReply:
        return pb.RevokeTokenReply(count=self._coordinator.revoke_token(request.name))


def _handed_over(made: Invitation | Grant) -> dict[str, str]:
    """What somebody gets, or where it lies here: a private key does not travel for an admin."""
    certificate = str(made.certificate or "")
    expires_at = made.expires_at.isoformat()
    return {"text": made.text, "expires_at": expires_at, "certificate": certificate}


def _json(rows: Any) -> str:
    """Records as JSON; times as text."""
    return json.dumps([asdict(row) for row in rows], default=lambda moment: moment.isoformat())
