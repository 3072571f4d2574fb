"""Whoever shows tokens that nobody knows: counted by address, so that another token each time is no way around.

A token that was good lately is let through whatever else its address does: on one machine all callers
have the same one. One that was refused before counts apart, so that a program which goes on asking with a
pass that was revoked does not keep those out who come with a new one.
"""

from __future__ import annotations

import contextlib
import hashlib
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
_REMEMBERED = 10_000


class Strangers:
    """Counts unknown tokens by address.

    Args:
        gateway: Knows which tokens the coordinator took lately.
    """

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._new, self._again = (Allowance(_A_MINUTE / 60, _A_MINUTE) for _ in range(2))
        self._refused: dict[bytes, None] = {}

    def early_s(self, scope: Scope, shown: str) -> float:
        """For how many seconds what an address shows as a token is not looked at; 0 if it is."""
        if not shown:
            return 0.0
        counted = self._again if _digest(shown) in self._refused else self._new
        early_s = counted.early_s(address_of(scope))
        with contextlib.suppress(UnknownTokenError):
            return 0.0 if early_s and self._gateway.knows(token_of(shown)) else early_s
        return early_s

    def count(self, scope: Scope, shown: str) -> None:
        """Note that an address showed a token that nobody knows."""
        name = _digest(shown)
        counted = self._again if name in self._refused else self._new
        counted.spend(address_of(scope))
        self._refused.pop(name, None)  # to the end of the order
        self._refused[name] = None
        if len(self._refused) > _REMEMBERED:
            del self._refused[next(iter(self._refused))]


def address_of(scope: Scope) -> str:
    """Where a request comes from."""
    return str((scope.get("client") or ("",))[0])


def token_shown(headers: Headers) -> str:
    """What stands as a token in the headers of a request, if anything does."""
    return headers.get("authorization", "").partition(" ")[2]


def _digest(shown: str) -> bytes:
    """The same for a token and for the pass that holds it."""
    with contextlib.suppress(UnknownTokenError):
        shown = token_of(shown)
    return hashlib.sha256(shown.encode(errors="surrogatepass")).digest()
