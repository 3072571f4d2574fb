"""An invite: all that a client needs to find a coordinator, trust it, and join once.

It is one line, see `oneline.py`. Who holds an invite can join, so it is a secret until it has been
used.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
from dataclasses import dataclass
from typing import Self

from flnb.core.errors import PlanError
from flnb.transport.certs import fingerprint
from flnb.transport.oneline import Line

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_LINE = Line("flnb", "invite", "an invite")
_FIELDS = ("address", "lab", "client", "token")
_MOST_CHARACTERS = 255


@dataclass(frozen=True, slots=True, repr=False)
class Invite:
    """What a client needs to join.

    Raises:
        PlanError: A field is empty or has signs that cannot be shown, or the certificate is none.
    """

    address: str
    """Where the coordinator listens: `host:port`."""
    lab: str
    """Identity of the lab."""
    client: str
    """The name under which the client will be known."""
    token: str
    """Good for one key to join with; never shown."""
    certificate: bytes | None = None
    """Of the lab's authority, as PEM; None where nothing is encrypted, on loopback."""

    def __post_init__(self) -> None:
        for name in _FIELDS:
            value = getattr(self, name)
            if not 0 < len(value) <= _MOST_CHARACTERS:
                raise PlanError(f"the {name} of an invite has 1 to {_MOST_CHARACTERS} characters")
            if not value.isprintable():
                raise PlanError(f"the {name} of an invite has signs that cannot be shown")
        if self.certificate is not None:
            object.__setattr__(self, "certificate", _LINE.pem(self.certificate))

    @property
    def fingerprint(self) -> str | None:
        """SHA-256 of the certificate, for people to compare; None where there is none."""
        return fingerprint(self.certificate) if self.certificate is not None else None

    @property
    def text(self) -> str:
        """The invite as one line.

        Examples:
            >>> invite = Invite("localhost:5005", "lab", "hospital-a", new_join_token())
            >>> Invite.parse(invite.text) == invite
            True
        """
        facts = {name: getattr(self, name) for name in _FIELDS}
        return _LINE.pack(facts, self.certificate)

    @classmethod
    def parse(cls, text_or_path: str | os.PathLike[str]) -> Self:
        """Read an invite.

        Args:
            text_or_path: The line as it was pasted, or the path of a file that holds it.

        Raises:
            PlanError: No such file, no invite, one that was cut or changed on its way, or one that
                a newer flnb made.
        """
        facts, certificate = _LINE.unpack(text_or_path, _FIELDS)
        return cls(**facts, certificate=certificate)

    def __repr__(self) -> str:
        """Without the token."""
        return f"Invite({self.client} to lab {self.lab} at {self.address})"


def check_client_name(name: str) -> None:
    """Look whether a client may be called that; files are called after it, too.

    Raises:
        PlanError: It has other signs, or more than 64.
    """
    if not _NAME.fullmatch(name):
        raise PlanError(
            f"a client's name has letters, digits, '-', '_' and '.', got {name!r}",
            hint="begin with a letter or a digit, and take at most 64 characters",
        )


def new_join_token() -> str:
    """Make a token to join with: 192 random bits, as text."""
    return secrets.token_urlsafe(24)


def token_hash(token: str) -> str:
    """What a lab keeps of a token: enough to know it again, not enough to join.

    Examples:
        >>> token_hash("a") == token_hash("a"), token_hash("a") == token_hash("b")
        (True, False)
    """
    # No salt and no slow hash: nobody guesses 192 random bits.
    return hashlib.sha256(b"flnb-join-token:" + token.encode("utf-8", "replace")).hexdigest()
