"""How far somebody has heard of a lab: two positions that only grow, and whose they are."""

from __future__ import annotations

import re
from dataclasses import dataclass

from flnb.core.errors import PlanError

_TEXT = re.compile(r"(\d{1,18})\.(\d{1,18})\.([0-9a-f]{1,32})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Cursor:
    """What is durable up to here was heard of: rounds and operations have positions of their own.

    Examples:
        >>> here = Cursor(812, 40, "1f3a")
        >>> here.text, Cursor.parse("812.40.1f3a") == here
        ('812.40.1f3a', True)
    """

    closing: int
    """Position of the last closing, or of the last time that closings were taken back."""
    operation: int
    """Position of the last operation."""
    lab: str
    """Identity of the lab; the positions of another one mean nothing here."""

    @property
    def text(self) -> str:
        """As it travels; good for nothing but coming back with it."""
        return f"{self.closing}.{self.operation}.{self.lab}"

    @classmethod
    def parse(cls, text: str) -> Cursor:
        """Read a cursor.

        Raises:
            PlanError: It is none.
        """
        if (found := _TEXT.fullmatch(text)) is None:
            raise PlanError(
                f"{text[:40]!r} is not a cursor",
                hint="take the one of the last event that you saw, or none to begin anew",
            )
        return cls(int(found[1]), int(found[2]), found[3])

    def covers(self, other: Cursor) -> bool:
        """Whether whoever stands here has heard all that one who stands there has."""
        return self.closing >= other.closing and self.operation >= other.operation

    def joined(self, other: Cursor) -> Cursor:
        """Where somebody stands who has heard what both have."""
        closing = max(self.closing, other.closing)
        return Cursor(closing, max(self.operation, other.operation), self.lab)
