"""What every endpoint asks for: who calls, and the way to the coordinator."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from flnb.core.errors import PlanError, UnknownTokenError
from flnb.service.gateway import Gateway
from flnb.transport import Pass

_LONGEST = 8192
_BEARER = HTTPBearer(
    auto_error=False,
    description="The pass that `flnb token NAME --role ROLE` prints, or the token in it.",
)


Credentials = Annotated[HTTPAuthorizationCredentials | None, Security(_BEARER)]
"""What came as a token, if anything did."""


async def checked(found: Credentials) -> str:
    """The token that came; a good one or not, the coordinator says.

    No call of it waits for anything. As a plain function it would be called in a thread, as would the
    others that endpoints depend on: three of those to and fro are half of what the service does for a
    request.

    Raises:
        UnknownTokenError: None came.
    """
    if found is None or not found.credentials or not found.credentials.isascii():
        raise UnknownTokenError(
            "no token came with the request",
            hint='send it: curl -H "Authorization: Bearer PASS" …; where the lab lies, '
            "flnb token NAME --role viewer --lab LAB prints one, elsewhere an admin of the lab gives it",
        )
    return token_of(found.credentials)


def token_of(text: str) -> str:
    """The token in what somebody shows: that alone, or the pass that holds it.

    Raises:
        UnknownTokenError: A pass that was cut or changed on its way, or what gRPC would not even send.
    """
    try:
        token = Pass.parse(text).token if Pass.begins(text) else text
    except PlanError as error:
        raise UnknownTokenError(error.message, hint=error.hint) from None
    if not (token.isascii() and token.isprintable()) or len(token) > _LONGEST:
        raise UnknownTokenError("this is no token", hint="copy the whole line again, and only that")
    return token


async def _gateway(request: Request) -> Gateway:
    found = request.app.state.gateway
    assert isinstance(found, Gateway), "an app is made with one"
    return found


Token = Annotated[str, Depends(checked)]
"""The caller's own; a good one or not, the coordinator says."""
Way = Annotated[Gateway, Depends(_gateway)]
