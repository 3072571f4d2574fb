"""Access tokens: who somebody is and what they may do, signed by the lab and good for a while.

A token is a JSON Web Token. Its algorithm is HS256 and nothing else, whatever it says of itself.
Signing keys have names: after a change older tokens can still be read while the new key signs.
"""

from __future__ import annotations

import json
import math
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import jwt
from jwt.algorithms import HMACAlgorithm
from jwt.exceptions import InvalidJTIError, InvalidSubjectError
from jwt.types import Options

from flnb.core.clock import SYSTEM_CLOCK, Clock
from flnb.core.errors import PlanError, TokenExpiredError, UnknownTokenError, did_you_mean

_ALGORITHM = "HS256"
KEY_BYTES = 32
_MOST_CHARACTERS = 4096
"""Ours have about 400; nothing longer is looked into."""
_SIGNATURE = re.compile(r"[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]")
"""32 bytes in base64. The last character has two bits to spare, which must not make two texts of
one token; signs outside the alphabet, which decoders skip, must not either."""
_LAST_SECOND = 1e12
_CLAIMS = ["iss", "aud", "sub", "exp", "iat", "jti", "scope"]
_STRICT: Options = {"require": _CLAIMS, "strict_aud": True}
MAKE_ONE = "make one with: openssl rand -hex 32"
_SIGN_IN_AGAIN = "sign in again; a client does so by itself"


class Role(StrEnum):
    """What somebody may do in a lab."""

    CLIENT = "client"
    """Takes part in rounds, and sees its own data only."""
    VIEWER = "viewer"
    """Sees aggregates."""
    OPERATOR = "operator"
    """Sees single clients too, and drives runs."""
    ADMIN = "admin"
    """Invites, revokes, and all that an operator may."""


ROLES = tuple(Role)
LADDER = (Role.VIEWER, Role.OPERATOR, Role.ADMIN)
"""The roles of people; each may do what those before it may."""


def allows(role: str, needed: str) -> bool:
    """Tell whether a role is enough where another one is needed.

    Viewer, operator and admin are steps of one ladder. A client stands beside it: it may do what
    clients do and nothing else, and nobody else may do that.

    Examples:
        >>> allows("admin", "viewer"), allows("viewer", "operator")
        (True, False)
        >>> allows("client", "client"), allows("admin", "client"), allows("client", "viewer")
        (True, False, False)
    """
    if role in LADDER and needed in LADDER:
        return LADDER.index(Role(role)) >= LADDER.index(Role(needed))
    return role == needed == Role.CLIENT


@dataclass(frozen=True, slots=True)
class Claims:
    """What a token that was verified says."""

    name: str
    """Of the client or the person."""
    role: Role
    token_id: str
    """Unique for each token."""
    expires_at: float
    """Seconds since 1970."""
    key_id: str
    """Name of the key that signed it."""
    lab: str
    bound: str = ""
    """Of a client: for which binding of its name to a key it was given; see `TokenIssuer.issue`."""


class TokenIssuer:
    """Signs the tokens of one lab, and reads them.

    Args:
        keys: Signing keys by name; each of them verifies. At least 32 bytes each.
        lab: Identity of the lab; tokens of another one are refused.
        current: Name of the key that signs.
        clock: Where the time comes from.

    Raises:
        PlanError: A key is too short or of a kind that is not for signing, or none is called
            `current`.
    """

    def __init__(
        self, keys: Mapping[str, bytes], lab: str, *, current: str, clock: Clock = SYSTEM_CLOCK
    ) -> None:
        for name, key in keys.items():
            check_key(f"signing key {name!r}", key)
        if current not in keys:
            raise PlanError(f"no signing key {current!r}", hint=did_you_mean(current, keys))
        self._keys, self._current = dict(keys), current
        self._lab, self._party, self._clock = lab, f"flnb:{lab}", clock

    def issue(self, name: str, role: str, lifetime_s: float, *, bound: str = "") -> str:
        """Make a token.

        Args:
            name: Whose it is.
            role: One of `ROLES`.
            lifetime_s: For how long it is good.
            bound: What it shall be good for alone, in short; what it says is for its reader to compare.

        Raises:
            PlanError: No name, no such role, or no lifetime.
        """
        if not name:
            raise PlanError("a token needs the name of its owner")
        if role not in ROLES:
            raise PlanError(f"no role {role!r}", hint=did_you_mean(role, ROLES))
        if not (math.isfinite(lifetime_s) and lifetime_s > 0):
            raise PlanError(f"a token lives for more than 0 seconds, got {lifetime_s}")
        now_s = self._clock.now().timestamp()
        claims = {
            "iss": self._party,
            "aud": self._party,
            "sub": name,
            "exp": now_s + lifetime_s,
            "iat": now_s,
            "jti": secrets.token_hex(16),
            "scope": str(role),
        } | ({"bound": bound} if bound else {})
        headers = {"kid": self._current}
        return jwt.encode(claims, self._keys[self._current], _ALGORITHM, headers=headers)

    def verify(self, token: str) -> Claims:
        """Read a token.

        Raises:
            TokenExpiredError: It was good once, and is too old.
            UnknownTokenError: It is not a token of this lab; the words say why, without it.
        """
        try:
            key_id = self._key_id(token)
            claims = jwt.decode(
                token,
                self._keys[key_id],
                algorithms=[_ALGORITHM],
                audience=self._party,
                issuer=self._party,
                # Times are looked at below, with this lab's clock and to the fraction of a second.
                options={**_STRICT, "verify_exp": False, "verify_iat": False},
            )
        except jwt.InvalidTokenError as error:
            raise _refused(_reason(error)) from error
        # Text that is no token at all can break the reader in other ways: too deep, not Unicode.
        except (ValueError, RecursionError) as error:
            raise _refused("it cannot be read") from error
        return self._checked(claims, key_id)

    def _key_id(self, token: str) -> str:
        """Which key a token names, after a look at all that is said outside the signed part."""
        if len(token) > _MOST_CHARACTERS:
            raise _refused(f"it has {len(token)} characters, at most {_MOST_CHARACTERS} are read")
        header = jwt.get_unverified_header(token)
        if header.get("alg") != _ALGORITHM:
            raise _refused(f"its algorithm is {_clip(header.get('alg'))}, not {_ALGORITHM}")
        if not (key_id := header.get("kid")):
            raise _refused("it does not name the key that signed it")
        if key_id not in self._keys:
            raise _refused(f"this lab has no key {_clip(key_id)}; it was changed, or is another's")
        if not _SIGNATURE.fullmatch(token.rpartition(".")[2]):
            raise _refused("its signature is damaged")
        return str(key_id)

    def _checked(self, claims: dict[str, Any], key_id: str) -> Claims:
        name, role, token_id = claims["sub"], claims["scope"], claims["jti"]
        if not (name and token_id):
            raise _refused("its name or its number is missing")
        if role not in ROLES:
            raise _refused(f"it is for a role that there is not: {_clip(role)}")
        issued_s, expires_s = _seconds(claims, "iat"), _seconds(claims, "exp")
        now_s = self._clock.now().timestamp()
        if now_s >= expires_s:
            found = f"the token of {name} expired {now_s - expires_s:.0f} s ago"
            raise TokenExpiredError(found, hint=_SIGN_IN_AGAIN)
        if now_s < issued_s:
            # It would live longer than it was meant to. Another one puts that right.
            found = (
                f"the token of {name} is {issued_s - now_s:.1f} s from the future: the clock here"
            )
            raise TokenExpiredError(f"{found} was set back", hint=_SIGN_IN_AGAIN)
        bound = claims.get("bound", "")  # those of people have none, nor had those of before
        if not isinstance(bound, str):
            raise _refused("what it is bound to is not text")
        return Claims(name, Role(role), token_id, expires_s, key_id, self._lab, bound)


def check_key(called: str, key: bytes) -> None:
    """Look whether a key is long enough, and one for signing.

    Args:
        called: What to call it in an error; the key itself is never shown.
        key: The key.

    Raises:
        PlanError: It is not.
    """
    if len(key) < KEY_BYTES:
        found = f"{called} has {len(key)} bytes, at least {KEY_BYTES} are needed"
        raise PlanError(found, hint=MAKE_ONE)
    try:
        HMACAlgorithm(HMACAlgorithm.SHA256).prepare_key(key)
    except jwt.InvalidKeyError as error:
        found = f"{called} is a key of another kind, a certificate or JSON; a secret is needed"
        raise PlanError(found, hint=MAKE_ONE) from error


def _seconds(claims: dict[str, Any], claim: str) -> float:
    value = claims[claim]
    if type(value) not in (int, float) or not abs(value) < _LAST_SECOND:  # nan is not, either
        raise _refused(f"its claim {claim!r} is not a time")
    return float(value)


def _reason(error: jwt.InvalidTokenError) -> str:
    match error:
        case jwt.InvalidSignatureError():
            return "its signature does not fit"
        case jwt.InvalidAudienceError():
            return "it is for another lab (audience)"
        case jwt.InvalidIssuerError():
            return "it comes from another lab (issuer)"
        case jwt.MissingRequiredClaimError():
            return f"its claim {error.claim!r} is missing"
        case InvalidSubjectError() | InvalidJTIError():
            return "its name or its number is not text"
        case _:
            return "it cannot be read"


def _refused(reason: str) -> UnknownTokenError:
    return UnknownTokenError(f"the access token is refused: {reason}", hint=_SIGN_IN_AGAIN)


def _clip(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 24 else f"{text[:20]}…"


def claimed(token: str) -> tuple[str, float]:
    """What a token says of itself: its identity, and until when it is good (seconds since 1970).

    Nothing is verified: only for a token that its lab has just taken.
    """
    claims = jwt.decode(token, options={"verify_signature": False})
    return str(claims["jti"]), float(claims["exp"])
