"""Plug-ins by name: built-in ones register on import, others by entry point.

A third party publishes, say, a strategy with an entry point in the group `flnb.strategies`; it is
loaded the first time somebody asks for a name that is not registered yet.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from importlib.metadata import entry_points
from typing import Generic, TypeVar

from flnb.core.errors import NotFoundError

T = TypeVar("T")
S = TypeVar("S")


class Registry(Generic[T]):
    """Names to plug-ins of one kind.

    Args:
        kind: What an entry is called in messages, such as `strategy`.
        group: Entry-point group, such as `flnb.strategies`.
        home: Module whose import registers the built-in ones.
    """

    def __init__(self, kind: str, group: str, home: str) -> None:
        self._kind, self._group, self._home = kind, group, home
        self._entries: dict[str, T] = {}

    def register(self, name: str) -> Callable[[S], S]:
        """Decorate a plug-in to register it under `name`."""

        def decorate(entry: S) -> S:
            self._entries[name] = entry  # type: ignore[assignment]  # S is a T by contract
            return entry

        return decorate

    def find(self, name: str) -> T:
        """Look a plug-in up, loading entry points if need be.

        Raises:
            NotFoundError: No plug-in of that name; the nearest is offered.
        """
        if name not in self._entries:
            importlib.import_module(self._home)
        if name not in self._entries:
            for point in entry_points(group=self._group, name=name):
                self._entries[name] = point.load()
        if name not in self._entries:
            raise NotFoundError(self._kind, name, self.names())
        return self._entries[name]

    def names(self) -> list[str]:
        """All known names, sorted."""
        importlib.import_module(self._home)
        return sorted({*self._entries, *(point.name for point in entry_points(group=self._group))})
