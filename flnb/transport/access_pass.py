"""A pass: all that a person's program needs to find a coordinator, trust it, and be let in.

It is one line, see `oneline.py`. Unlike an invite it can be used again and again, until it expires
or is revoked: a secret, as a password is.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Self

from flnb.core.errors import PlanError
from flnb.transport.oneline import Line

_LINE = Line("flnbpass", "pass", "a pass")
_MOST_CHARACTERS = {"address": 255, "lab": 255, "name": 255, "token": 4096}
_FIELDS = tuple(_MOST_CHARACTERS)


@dataclass(frozen=True, slots=True, repr=False)
class Pass:
    """What `flnb.connect` needs.

    Raises:
        PlanError: A field is empty or has signs that cannot be shown, or the certificate is none.
    """

    address: str
    """Where the coordinator listens: `host:port`."""
    lab: str
    """Identity of the lab."""
    name: str
    """Whose it is."""
    token: str
    """Access token; never shown."""
    certificate: bytes | None = None
    """Of the lab's authority, as PEM; None where nothing is encrypted, on loopback."""

    def __post_init__(self) -> None:
        for field, most in _MOST_CHARACTERS.items():
            value = getattr(self, field)
            if not 0 < len(value) <= most or not value.isprintable():
                raise PlanError(
                    f"the {field} of a pass has 1 to {most} characters that can be shown"
                )
        if self.certificate is not None:
            object.__setattr__(self, "certificate", _LINE.pem(self.certificate))

    @property
    def text(self) -> str:
        """The pass as one line.

        Examples:
            >>> one = Pass("localhost:5005", "lab", "dr-lee", "token")
            >>> Pass.parse(one.text) == one
            True
        """
        return _LINE.pack({name: getattr(self, name) for name in _FIELDS}, self.certificate)

    @classmethod
    def parse(cls, text_or_path: str | os.PathLike[str]) -> Self:
        """Read a pass.

        Args:
            text_or_path: The line as it was pasted, or the path of a file that holds it.

        Raises:
            PlanError: No such file, no pass, one that was cut or changed on its way, or one that a
                newer flnb made.
        """
        facts, certificate = _LINE.unpack(text_or_path, _FIELDS)
        return cls(**facts, certificate=certificate)

    @staticmethod
    def begins(text: str) -> bool:
        """Whether a text looks like a pass, whole or not."""
        return _LINE.begins(text)

    def __repr__(self) -> str:
        """Without the token."""
        return f"Pass({self.name} to lab {self.lab} at {self.address})"
