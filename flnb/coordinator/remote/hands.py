"""The threads that take updates in: some hash and write, others wait for the disk."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from concurrent.futures import ThreadPoolExecutor

from flnb.core.errors import UnreachableError

_WRITING = 2
"""Threads that hash and write. No more messages are handed to them: others wait on the line."""
_NICE = 10
"""How far a thread of an intake stands behind the loop when both want the same core: while 64 clients
sent, a ping's median was half to a quarter of what it was with equals (two runs in turns, a busy machine)."""


class Hands:
    """The threads of all intakes. Whoever waits for the disk keeps no one from being written."""

    def __init__(self) -> None:
        self.writing = ThreadPoolExecutor(
            _WRITING, thread_name_prefix="flnb-intake", initializer=_step_back
        )
        """Hash and write."""
        self.free = asyncio.Semaphore(_WRITING)
        """Those that have no message."""
        self.syncing = ThreadPoolExecutor(2, thread_name_prefix="flnb-sync", initializer=_step_back)
        """Wait until all of it is on the disk."""
        self.ahead = ThreadPoolExecutor(1, thread_name_prefix="flnb-ahead", initializer=_step_back)
        """Wait for a part of it, for which nobody waits."""
        self._closed = False

    def check_open(self) -> None:
        """See that there are threads.

        Raises:
            UnreachableError: There are none any more.
        """
        if self._closed:
            raise UnreachableError("the coordinator stops", hint="offer the update again")

    def close(self) -> None:
        """Let go of the threads."""
        self._closed = True
        self.writing.shutdown(wait=True)
        self.ahead.shutdown(wait=True)
        self.syncing.shutdown(wait=True)


def _step_back() -> None:
    """Let the loop go first; where a thread has no priority of its own, all stay equal."""
    with contextlib.suppress(OSError):
        me = os.PRIO_PROCESS, threading.get_native_id()
        os.setpriority(*me, os.getpriority(*me) + _NICE)
