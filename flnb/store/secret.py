"""The lab's secret: 32 random bytes, in a file that its owner alone can read."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from flnb.core import SecretRoot
from flnb.core.errors import StoreError

SECRET_BYTES = 32


def secret_root(key: bytes, lab: str) -> SecretRoot:
    """The root of what is derived from a lab's secret.

    Raises:
        StoreError: It is too short to be one.
    """
    if len(key) < SECRET_BYTES:
        raise StoreError(
            f"the secret of lab {lab} has {len(key)} bytes, not {SECRET_BYTES}",
            hint="restore the file `secret` from a copy of the lab",
        )
    return SecretRoot(key)


def make_secret(path: Path) -> None:
    """Write the secret whole or not at all, and never over another one."""
    if path.exists():
        return
    draft = path.with_name(f".secret-{secrets.token_hex(4)}")
    fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(secrets.token_bytes(SECRET_BYTES))
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)
        except FileExistsError:
            return  # another process opened the lab at the same moment
    finally:
        draft.unlink()
