"""The keys that sign a lab's access tokens: from the environment, or from the lab's secret."""

from __future__ import annotations

import hashlib
import hmac
import os
import shlex
from collections.abc import Mapping
from pathlib import Path

from flnb.core.errors import PlanError
from flnb.core.seeds import SecretRoot
from flnb.transport.tokens import KEY_BYTES, MAKE_ONE, check_key

_OF_OTHERS = 0o077


def signing_keys(
    secret: SecretRoot, environment: Mapping[str, str] = os.environ
) -> dict[str, bytes]:
    """Find the signing keys of a lab; the first one is the one to sign with.

    `JWT_SECRET` in the environment wins over a key from the lab's secret. After a change the key
    of before can stay readable for a while as `JWT_SECRET_PREVIOUS`.

    Args:
        secret: The lab's secret root.
        environment: Where to look first.

    Returns:
        Keys by a name that changes with the key, and tells nothing of it.

    Raises:
        PlanError: A key of the environment has fewer than 32 characters.

    Examples:
        >>> lab = SecretRoot(bytes(32))
        >>> len(signing_keys(lab, {})), len(signing_keys(lab, {"JWT_SECRET": "x" * 32}))
        (1, 1)
    """
    text = environment.get("JWT_SECRET")
    keys = [_derived(secret) if text is None else _given("JWT_SECRET", text)]
    if (older := environment.get("JWT_SECRET_PREVIOUS")) is not None:
        keys.append(_given("JWT_SECRET_PREVIOUS", older))
    return {_key_name(key): key for key in keys}


def check_secret_file(path: Path, host: str, environment: Mapping[str, str] = os.environ) -> None:
    """Look whether tokens that open a lab to other machines may be signed with its secret.

    On a public address nothing is invented or guessed: the key comes from `JWT_SECRET`, or from the
    lab's own secret as long as nobody else can have read it.

    Args:
        path: The lab's secret.
        host: The public address, for people.
        environment: Where `JWT_SECRET` may be.

    Raises:
        PlanError: `JWT_SECRET` is not set, and the file is missing or open to others.
    """
    if "JWT_SECRET" in environment:
        return
    own = "or set JWT_SECRET, 32 characters or more, to sign with another key"
    try:
        mode = path.stat().st_mode & 0o777
    except OSError as error:
        raise PlanError(
            f"a coordinator on {host} signs tokens with the lab's secret, and {path} cannot be "
            f"read: {error.strerror}",
            hint=f"restore the file from a copy of the lab, {own}",
        ) from error
    if mode & _OF_OTHERS:
        raise PlanError(
            f"a coordinator on {host} signs tokens with the lab's secret, which others on this "
            f"machine can reach (mode {mode:o})",
            hint=f"chmod 600 {shlex.quote(str(path))}, {own}",
        )


def _derived(secret: SecretRoot) -> bytes:
    parts = (secret.derive(purpose="access-tokens", part=part) for part in range(4))
    # As digits: raw bytes could look like a key of another kind to the library.
    return "".join(f"{part:016x}" for part in parts).encode()


def _given(variable: str, text: str) -> bytes:
    if len(text) < KEY_BYTES:
        found = f"{variable} has {len(text)} characters, at least {KEY_BYTES} are needed"
        raise PlanError(found, hint=f"{MAKE_ONE}, or unset it")
    key = text.encode("utf-8", "surrogateescape")
    check_key(variable, key)
    return key


def _key_name(key: bytes) -> str:
    return hmac.new(key, b"flnb-key-name", hashlib.sha256).hexdigest()[:8]
