"""What was read of the state, read again only when somebody has written since.

Whoever looks four times a second for what other processes ask would else pay four queries a second
for nothing: most of what a coordinator costs while nothing happens.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

Found = TypeVar("Found")


class WhenChanged(Generic[Found]):
    """Reads when something was committed since it read last; used by one thread at a time.

    Args:
        version: Another one after each commit; None where that cannot be told.
        read: What to read.
    """

    def __init__(self, version: Callable[[], object | None], read: Callable[[], Found]) -> None:
        self._version, self._read = version, read
        self._seen: object | None = None

    def __call__(self) -> Found | None:
        """Read, or return None: nobody has written since."""
        version = self._version()
        if version is not None and version == self._seen:
            return None
        found = self._read()
        self._seen = version  # from before it read: what was written meanwhile is read next time
        return found

    def again(self) -> None:
        """Read next time, whether or not somebody has written: nothing came of what was read."""
        self._seen = None
