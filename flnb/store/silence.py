"""Calls to a bucket whose server takes requests and answers none of them: given up after a minute.

Icechunk waits for ever for the first byte of an answer; its own limit begins with that byte. A server that
lost its disks, or a router that forgot a connection, would hold a run up for ever, without a word. So
each call has a thread of its own, which is left behind when nothing comes: it ends with its connection.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from threading import Thread
from typing import TYPE_CHECKING, Any, TypeVar, cast

if TYPE_CHECKING:
    from icechunk import Repository

ANSWER_S = 60.0
"""Longest wait for an answer; each call is a few requests, or one chunk."""
_LONG_CALLS = {"expire_snapshots", "garbage_collect"}
"""Of Icechunk: as many requests as there are commits."""
_Result = TypeVar("_Result")


def answered(call: Callable[[], _Result]) -> _Result:
    """Call something, and wait no longer than `ANSWER_S`.

    Raises:
        TimeoutError: Nothing came. What was asked for may still happen.
    """
    results, errors = list[_Result](), list[BaseException]()

    def work() -> None:
        try:
            results.append(call())
        except BaseException as error:  # it is raised where somebody waits
            errors.append(error)

    thread = Thread(target=work, name="flnb-bucket", daemon=True)
    thread.start()
    thread.join(ANSWER_S)
    for error in errors:
        raise error
    for result in results:
        return result
    raise TimeoutError(f"no answer for {ANSWER_S:.0f} s")


@dataclass(frozen=True, slots=True)
class Wait:
    """How long to wait for what answers: a server is given up in the end, a disk is not."""

    with_end: bool

    @property
    def limit_s(self) -> float | None:
        """Longest wait for a chunk."""
        return ANSWER_S if self.with_end else None

    def call(self, call: Callable[[], _Result]) -> _Result:
        """Call something that asks a few times.

        Raises:
            TimeoutError: Nothing came.
        """
        return answered(call) if self.with_end else call()


def patient(repository: Repository) -> Repository:
    """The same repository, with calls, also of its sessions, that are given up in the end."""
    return cast("Repository", _Patient(repository))


class _Patient:
    """An object of Icechunk whose methods are `answered`."""

    def __init__(self, real: Any) -> None:
        self._real = real

    def __getattr__(self, name: str) -> Any:
        """A property as it is, a method with a limit."""
        import icechunk

        found = getattr(self._real, name)
        if not callable(found) or name in _LONG_CALLS:
            return found

        def call(*args: Any, **settings: Any) -> Any:
            result = answered(lambda: found(*args, **settings))
            return _Patient(result) if isinstance(result, icechunk.Session) else result

        return call
