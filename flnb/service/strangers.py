"""Whoever shows tokens that nobody knows: counted by address, so that another token each time is no way around.

A token that was good lately is let through whatever else its address does: on one machine all callers
have the same one.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from starlette.datastructures import Headers

from flnb.core.errors import UnknownTokenError
from flnb.service.callers import token_of
from flnb.service.gateway import Gateway
from flnb.transport.limits import Allowance

if TYPE_CHECKING:
    from starlette.types import Scope
else:
    Scope = Any

TOO_MANY = "too many tokens that nobody knows came from your address"
_A_MINUTE = 30.0
"""As many as of requests to join that come to nothing: see `Limits.failed_joins_per_minute`."""


class Strangers:
    """Counts unknown tokens by address.

    Args:
        gateway: Knows which tokens the coordinator took lately.
    """

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._refused = Allowance(_A_MINUTE / 60, _A_MINUTE)

    def early_s(self, scope: Scope, shown: str) -> float:
        """For how many seconds what an address shows as a token is not looked at; 0 if it is."""
        early_s = self._refused.early_s(address_of(scope)) if shown else 0.0
        with contextlib.suppress(UnknownTokenError):
            return 0.0 if early_s and self._gateway.knows(token_of(shown)) else early_s
        return early_s

    def count(self, scope: Scope) -> None:
        """Note that an address showed a token that nobody knows."""
        self._refused.spend(address_of(scope))


def address_of(scope: Scope) -> str:
    """Where a request comes from."""
    return str((scope.get("client") or ("",))[0])


def token_shown(headers: Headers) -> str:
    """What stands as a token in the headers of a request, if anything does."""
    return headers.get("authorization", "").partition(" ")[2]
