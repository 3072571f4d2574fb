"""What every endpoint asks for: who calls, and the way to the coordinator."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from flnb.core.errors import UnknownTokenError
from flnb.service.gateway import Gateway

_BEARER = HTTPBearer(
    auto_error=False, description="A lab token, as `flnb token NAME --role ROLE` gives with a pass."
)


def _token(
    found: Annotated[HTTPAuthorizationCredentials | None, Security(_BEARER)],
) -> str:
    if found is None or not found.credentials or not found.credentials.isascii():
        raise UnknownTokenError(
            "no token came with the request",
            hint="send Authorization: Bearer TOKEN; an admin of the lab gives one: flnb token NAME",
        )
    return found.credentials


def _gateway(request: Request) -> Gateway:
    found = request.app.state.gateway
    assert isinstance(found, Gateway), "an app is made with one"
    return found


Token = Annotated[str, Depends(_token)]
"""The caller's own; a good one or not, the coordinator says."""
Way = Annotated[Gateway, Depends(_gateway)]
