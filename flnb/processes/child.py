"""A process that this one has forked itself, with as much of `subprocess.Popen` as its owner needs."""

from __future__ import annotations

import os
import signal
import subprocess  # for its error

from flnb.processes.server import has_ended


class Child:
    """A forked process.

    Args:
        pid: Its process id, which nobody else waits for.
    """

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._pidfd = os.pidfd_open(pid)

    def poll(self) -> int | None:
        """Its exit code, minus the signal that killed it; None while it runs."""
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
        if self.returncode is None and not has_ended(self._pidfd, timeout):
            raise subprocess.TimeoutExpired([f"process {self.pid}"], timeout or 0.0)
        code = self.poll()
        assert code is not None, "it has ended"
        return code

    def kill(self) -> None:
        """End it."""
        if self.returncode is None:
            signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
