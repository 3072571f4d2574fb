"""Challenges to sign: given to anybody who asks, and nothing is kept of one until it was signed.

A challenge carries its own end and a seal that only this coordinator can make, so strangers who
ask for millions of them fill no memory. One that was signed is remembered until its end, so that
it opens nothing twice.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import struct

from flnb.core.clock import SYSTEM_CLOCK, Clock
from flnb.core.errors import TokenExpiredError

LIFETIME_S = 30.0
_HEAD = struct.Struct(">16sd")
_SEAL_BYTES = 32
_ANEW = "try again"


class Challenges:
    """Challenges of one coordinator.

    Args:
        clock: Where the time comes from.
    """

    def __init__(self, clock: Clock = SYSTEM_CLOCK) -> None:
        self._clock, self._key = clock, secrets.token_bytes(32)
        self._signed: dict[bytes, float] = {}
        """Those that were signed, in the order of their ends, with these."""

    def give(self, client: str) -> bytes:
        """Make a challenge that only this client can use."""
        ends_s = self._clock.monotonic_s() + LIFETIME_S
        head = _HEAD.pack(secrets.token_bytes(16), ends_s)
        return head + self._seal(client, head)

    def check(self, client: str, nonce: bytes) -> None:
        """Look whether a client may answer a challenge now.

        Raises:
            TokenExpiredError: It is too old, has been answered, or was not given to this client by this
                coordinator. It may come from before a restart: that says nothing about its key.
        """
        head, seal = nonce[: _HEAD.size], nonce[_HEAD.size :]
        if len(seal) != _SEAL_BYTES or not hmac.compare_digest(seal, self._seal(client, head)):
            raise TokenExpiredError("this challenge was not given to this client here", hint=_ANEW)
        if self._clock.monotonic_s() > _HEAD.unpack(head)[1]:
            raise TokenExpiredError(f"the challenge is older than {LIFETIME_S:.0f} s", hint=_ANEW)
        if nonce in self._signed:
            raise TokenExpiredError("this challenge has been answered", hint=_ANEW)

    def used(self, nonce: bytes) -> None:
        """A challenge was signed by the key that it was for: it opens nothing more."""
        now_s = self._clock.monotonic_s()
        self._signed[nonce] = _HEAD.unpack(nonce[: _HEAD.size])[1]
        while self._signed and (oldest := next(iter(self._signed.items())))[1] < now_s:
            del self._signed[oldest[0]]

    def _seal(self, client: str, head: bytes) -> bytes:
        return hmac.digest(self._key, head + client.encode(), hashlib.sha256)
