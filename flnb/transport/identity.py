"""Who a client is: an Ed25519 key that never leaves its machine, and what it has signed.

A signature is made for one purpose, which is part of what is signed: that of a sign-in can never
pass for that of an update. Parts go in with their lengths, so that no two lists of parts run
together to the same bytes.
"""

from __future__ import annotations

import os
import secrets
import shlex
from pathlib import Path
from typing import Any, Self

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from flnb.core.errors import StoreError

_OF_OTHERS = 0o077
_MOST_BYTES = 64 * 1024
"""No key file is longer; whatever else a path names is not read whole."""


class Identity:
    """A client's key; make one with `create`, `load` or `load_or_create`.

    Args:
        private: The private key; never shown, only written to the client's own disk.
    """

    __slots__ = ("_private", "public")

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self._private = private
        self.public = private.public_key().public_bytes_raw()
        """The public key, 32 bytes: what a coordinator knows the client by."""

    @classmethod
    def create(cls) -> Self:
        """Make a new one; it is on no disk until it is saved."""
        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def load(cls, path: Path | str) -> Self:
        """Read an identity.

        Raises:
            StoreError: No file, one that others can read, or one that holds no such key.
        """
        hint = "restore it from a copy, or move it away and ask for another invite"
        return cls(load_key(Path(path), Ed25519PrivateKey, hint=hint))

    @classmethod
    def load_or_create(cls, path: Path | str) -> Self:
        """Read an identity, or make and save one where there is none.

        Raises:
            StoreError: As `load` and `save`.
        """
        if not os.path.lexists(path):
            identity = cls.create()
            if write_once(Path(path), key_pem(identity._private)):
                return identity  # else another process was quicker: that one counts
        return cls.load(path)

    def save(self, path: Path | str) -> None:
        """Write it, readable by its owner alone: whole or not at all, never over another file.

        Raises:
            StoreError: There is a file already, or it cannot be written.
        """
        if not write_once(Path(path), key_pem(self._private)):
            raise StoreError(
                f"there is a file at {path} already; an identity is never written over",
                hint="load that one, or name another place",
            )

    def sign(self, context: str, *parts: bytes) -> bytes:
        """Sign parts for one purpose.

        Args:
            context: The purpose, such as `"flnb-join"`.
            parts: What is signed; how it is divided counts too.

        Returns:
            64 bytes, to be checked with `verify`.

        Examples:
            >>> me = Identity.create()
            >>> signature = me.sign("flnb-join", b"token")
            >>> verify(me.public, signature, "flnb-join", b"token")
            True
            >>> verify(me.public, signature, "flnb-sign-in", b"token")
            False
        """
        return self._private.sign(_message(context, parts))

    def __repr__(self) -> str:
        """The public key's beginning; never the private one."""
        return f"Identity({self.public.hex()[:12]}…)"


def verify(public: bytes, signature: bytes, context: str, *parts: bytes) -> bool:
    """Tell whether the holder of a key signed these parts for this purpose.

    Args:
        public: The public key. What is not one has signed nothing.
        signature: What `Identity.sign` returned.
        context: The purpose.
        parts: What was signed.
    """
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, _message(context, parts))
    except (InvalidSignature, ValueError):
        return False
    return True


def key_pem(key: PrivateKeyTypes) -> bytes:
    """Write out a private key as PEM; not encrypted, so it must go where only its owner reads."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def load_key(path: Path, kind: type[Any], *, hint: str) -> Any:
    """Read a private key of one kind from a file that only its owner may read.

    Args:
        path: The file, in PEM.
        kind: Class of the key.
        hint: What to do when it holds something else.

    Raises:
        StoreError: No file, one that others can read, or one that holds no such key.
    """
    return read_key(read_private(path), path, kind, hint=hint)


def read_key(pem: bytes, path: Path, kind: type[Any], *, hint: str) -> Any:
    """Read a private key of one kind from what a file holds.

    Args:
        pem: The key, in PEM.
        path: The file, for people.
        kind: Class of the key.
        hint: What to do when it is something else.

    Raises:
        StoreError: It is no such key.
    """
    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise StoreError(f"{path} holds no key that can be read", hint=hint) from error
    if not isinstance(key, kind):
        raise StoreError(f"{path} holds a key of another kind", hint=hint)
    return key


def write_once(path: Path, data: bytes, *, mode: int = 0o600) -> bool:
    """Write a file whole or not at all, synced, and never over another one.

    Args:
        path: The file; its folder is made when it is missing, for its owner alone.
        data: What it holds.
        mode: Who may read it.

    Returns:
        False when there was a file already, which is left as it is.

    Raises:
        StoreError: It cannot be written.
    """
    draft = path.with_name(f".{path.name}-{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            _write_synced(draft, data, mode)
            written = _linked(draft, path)
        finally:
            draft.unlink(missing_ok=True)
        _sync_folder(path.parent)
    except OSError as error:
        raise _unwritable(path, error) from error
    return written


def write_over(path: Path, data: bytes) -> None:
    """Write a file that only its owner may read: whole or not at all, synced, over one that is there.

    Args:
        path: The file; its folder is made when it is missing, for its owner alone.
        data: What it holds.

    Raises:
        StoreError: It cannot be written.
    """
    draft = path.with_name(f".{path.name}-{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            _write_synced(draft, data, 0o600)
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)
        _sync_folder(path.parent)
    except OSError as error:
        raise _unwritable(path, error) from error


def read_private(path: Path) -> bytes:
    """Read a small file that only its owner may read, such as a key.

    Raises:
        StoreError: No file, one that cannot be read, or one that others can reach.
    """
    try:
        with path.open("rb") as file:
            # Asked of the open file: what the path names may change in between.
            mode = os.fstat(file.fileno()).st_mode
            data = file.read(_MOST_BYTES)
    except FileNotFoundError as error:
        raise StoreError(f"there is no key at {path}", hint="look at the path") from error
    except OSError as error:
        raise StoreError(
            f"the key {path} cannot be read: {error.strerror}", hint="look at the path and its mode"
        ) from error
    if mode & _OF_OTHERS:
        raise StoreError(
            f"others on this machine may read or change the key {path} (mode {mode & 0o777:o})",
            hint=f"chmod 600 {shlex.quote(str(path))}; if somebody may have copied it, make another",
        )
    return data


def _unwritable(path: Path, error: OSError) -> StoreError:
    return StoreError(
        f"{path} cannot be written: {error.strerror}",
        hint="look at the rights and the free space of its folder, or name another one",
    )


def _message(context: str, parts: tuple[bytes, ...]) -> bytes:
    items = (context.encode(), *parts)
    return b"".join(len(item).to_bytes(8, "big") + item for item in items)


def _write_synced(path: Path, data: bytes, mode: int) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _linked(draft: Path, path: Path) -> bool:
    try:
        os.link(draft, path)  # a rename would go over a file that another process made meanwhile
    except FileExistsError:
        return False
    return True


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
