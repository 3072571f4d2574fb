"""Randomness from names, from two roots.

A random number is looked up by what it is *for* (`run seed, round=12, client="c17",
purpose="batch-order"`), never drawn from a generator that lives on. Resume, order of arrival
and number of workers then cannot change it, and a branch compares like with like.

The public root is the plan's seed. The secret root (`SecretRoot`) is a key of the lab, for
noise, masks and cohorts that are drawn for privacy; nothing derived from it is exported.
"""

from __future__ import annotations

import hashlib
import operator
from typing import SupportsIndex

import numpy as np

Name = str | SupportsIndex


def derive(root: int, **names: Name) -> int:
    """Turn names into a 64-bit seed.

    Args:
        root: The plan's public seed.
        names: What the number is for; the order of the keywords does not matter.

    Returns:
        An integer in [0, 2**64), the same on every machine.

    Examples:
        >>> derive(7, round=1, client="c1") == derive(7, client="c1", round=1)
        True
        >>> derive(7, round=1) == derive(7, round=2)
        False
    """
    return int.from_bytes(_digest(names, root.to_bytes(16, "big", signed=True), b""), "big")


def generator(root: int, **names: Name) -> np.random.Generator:
    """Make a generator for one purpose; it must not outlive that purpose."""
    return np.random.Generator(np.random.Philox(key=derive(root, **names)))


class SecretRoot:
    """The lab's secret key, from which secret randomness is derived by name.

    Args:
        key: At least 32 random bytes. Never shown, logged or exported.
    """

    __slots__ = ("_key",)

    def __init__(self, key: bytes) -> None:
        if len(key) < 32:
            raise ValueError(f"a secret root needs at least 32 bytes, got {len(key)}")
        self._key = key

    def derive(self, **names: Name) -> int:
        """Turn names into a 64-bit seed that nobody without the key can predict."""
        return int.from_bytes(_digest(names, b"", self._key[:64]), "big")

    def key(self, **names: Name) -> bytes:
        """Turn names into a key of 32 bytes, for encryption; no seed tells anything of it."""
        return _digest(names, b"", self._key[:64], size=32, person=b"flnb-key")

    def __repr__(self) -> str:
        """Hide the key."""
        return "SecretRoot(…)"


def _digest(
    names: dict[str, Name], root: bytes, key: bytes, *, size: int = 8, person: bytes = b"flnb-seed"
) -> bytes:
    hasher = hashlib.blake2b(root, digest_size=size, key=key, person=person)
    for name in sorted(names):
        value = names[name]
        # Length and type go in, so that no two lists of names run together to the same bytes.
        # A numpy integer names the same thing as a Python one; a float names nothing.
        text = f"str:{value}" if isinstance(value, str) else f"int:{operator.index(value)}"
        hasher.update(f"{len(name)}:{name}={len(text)}:{text};".encode())
    return hasher.digest()
