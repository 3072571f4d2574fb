"""What people tell the coordinator: each order goes with the person's own token."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from flnb.coordinator.control.connection import Connection
from flnb.core.errors import UnreachableError
from flnb.dashboards.access import Person
from flnb.dashboards.targets import Target

T = TypeVar("T")
_MOST = 32


class Orders:
    """Connections of the people who told something, the newest ones kept open.

    Args:
        target: What the server was started for.
    """

    def __init__(self, target: Target) -> None:
        self.target = target
        self._open: dict[str, Connection] = {}
        self._lock = threading.Lock()

    def give(self, person: Person, order: Callable[[Connection], T]) -> T:
        """Do something as a person; blocks.

        Args:
            person: Who wants it.
            order: Is handed the coordinator as that person holds it.

        Returns:
            What the order returned.

        Raises:
            FLBaseError: The coordinator refuses, or cannot be reached.
        """
        if not self.target.served():
            raise UnreachableError(
                "no coordinator holds this lab now, so nobody can do that",
                hint="flnb coordinator serve LAB",
            )
        return order(self._connection(person))

    def _connection(self, person: Person) -> Connection:
        with self._lock:
            known = self._open.pop(person.token, None)
        if known is not None and known.ended is not None:
            known.close()
            known = None
        made = known or self.target.connect(person)
        with self._lock:
            self._open[person.token] = made
            over = list(self._open)[:-_MOST]
            old = [self._open.pop(token) for token in over]
        for connection in old:
            connection.close()
        return made

    def close(self) -> None:
        """End all connections."""
        with self._lock:
            closing, self._open = list(self._open.values()), {}
        for connection in closing:
            connection.close()
