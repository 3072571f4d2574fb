"""The lab's key for its operations log: Ed25519, made from the secret, so that no file more is needed.

Whoever has the public key can check the log offline. Whoever has the secret can sign anything: the
log shows what others did to it, not what the owner of the lab did.
"""

from __future__ import annotations

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from flnb.core import SecretRoot

_CONTEXT = b"flnb operations log\n"
"""Signed along, so that no signature is good for anything else."""


class LogKey:
    """Signs digests of the log.

    Args:
        secret: The lab's; the same one gives the same key.
    """

    def __init__(self, secret: SecretRoot) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(secret.key(purpose="operations-log"))
        self.public = self._key.public_key().public_bytes_raw()
        """32 bytes, for everybody."""

    def sign(self, digest: str) -> bytes:
        """Sign the digest of an operation, which covers all operations before it."""
        return self._key.sign(_CONTEXT + digest.encode())


def is_signed(public: bytes, digest: str, signature: bytes) -> bool:
    """Whether a digest was signed by the holder of a key."""
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, _CONTEXT + digest.encode())
    except (InvalidSignature, ValueError):
        return False
    return True
