"""A process that this one has forked itself, with as much of `subprocess.Popen` as its owner needs."""

from __future__ import annotations

import math
import os
import signal
import subprocess  # for its error
import threading
import time

from flnb.core import SYSTEM_CLOCK
from flnb.processes.server import has_ended

_LOOKS_S = 0.005


class Child:
    """A forked process.

    Args:
        pid: Its process id, which nobody else waits for.
    """

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._pidfd = os.pidfd_open(pid)
        self._lock = threading.Lock()  # two threads that see its end must not both wait for it

    def poll(self) -> int | None:
        """Its exit code, minus the signal that killed it; None while it runs."""
        with self._lock:
            if self.returncode is None and has_ended(self._pidfd):
                _, status = os.waitpid(self.pid, 0)
                self.returncode = os.waitstatus_to_exitcode(status)
                os.close(self._pidfd)
            return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end.

        Raises:
            subprocess.TimeoutExpired: It has not ended within so many seconds.
        """
        ends_s = math.inf if timeout is None else SYSTEM_CLOCK.monotonic_s() + timeout
        while (code := self.poll()) is None:
            if SYSTEM_CLOCK.monotonic_s() >= ends_s:
                raise subprocess.TimeoutExpired([f"process {self.pid}"], timeout or 0.0)
            time.sleep(_LOOKS_S)
        return code

    def kill(self) -> None:
        """End it."""
        with self._lock:
            if self.returncode is None:
                signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
