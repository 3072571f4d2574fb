"""A clean process from which workers are forked.

Forking a process with threads can dead-lock the child, and the coordinator has threads; starting
an interpreter that imports torch takes seconds. So one single-threaded server imports once and
is forked in milliseconds. It and its workers live in a session of their own and ignore ^C; what
they print goes to a log file or nowhere, never to a notebook cell or the standard output of a
command.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess  # starts our own interpreter with our own module
import sys
import threading
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

from flnb.core.errors import WorkerDiedError
from flnb.processes.channel import Channel
from flnb.processes.child import Child
from flnb.processes.server import GRACE_S, MAX_FDS, MAX_REQUEST_BYTES, be_server, has_ended

_START = (
    "import json, sys; sys.path[:] = json.loads(sys.argv.pop()); "
    "from flnb.processes.server import main; main()"
)
_ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS"), "1"
) | {"JE_ARROW_MALLOC_CONF": "background_thread:false"}  # pandas imports pyarrow
_Process = subprocess.Popen[bytes] | Child
_REPLY_TIMEOUT_S = 120.0
"""The first reply waits for the imports of the server, which can be slow on a busy machine."""


class Worker:
    """A process forked from a server, and the channel to it.

    It ends by itself once the channel is closed, so that it cannot outlive whoever holds this.
    """

    def __init__(self, pid: int, channel: Channel, pidfd: int, server: ForkServer) -> None:
        self.pid = pid
        self.channel = channel
        self._pidfd = pidfd
        self._server = server
        self._release = weakref.finalize(self, os.close, pidfd)

    @property
    def alive(self) -> bool:
        """Whether the process is still running."""
        return not self.join(0.0)

    @property
    def exit_code(self) -> int | None:
        """How it ended: a code, minus the signal that killed it, or None (running, unknown)."""
        return self._server.exit_code(self.pid)

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Send a signal, to this process and never to another one that got its id."""
        if self._release.alive:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, number)

    def join(self, timeout_s: float | None = None) -> bool:
        """Wait for its end; returns whether it has ended."""
        return not self._release.alive or has_ended(self._pidfd, timeout_s)

    def close(self) -> None:
        """Close the channel, which ends the worker, and let go of it without waiting."""
        self.channel.close()
        self._release()

    def __repr__(self) -> str:
        """Process id and whether it runs."""
        return f"Worker(pid={self.pid}, {'alive' if self.alive else 'ended'})"


class ForkServer:
    """A process that forks workers on request; `start` makes one, `shared` finds one.

    May be used from any thread. Closing it, or the end of this process, however it comes, ends
    the server and everything that was forked from it.
    """

    _shared: ClassVar[ForkServer | None] = None
    _shared_lock: ClassVar[threading.Lock] = threading.Lock()

    def __init__(
        self, process: _Process, control: socket.socket, environment: dict[str, str]
    ) -> None:
        self._process, self._control = process, control
        self._environment = environment
        """As the server knows it, but for `_ONE_THREAD`."""
        self._is_shared = self._has_forked = False
        self._lock = threading.Lock()
        self._release = weakref.finalize(self, _end, process, control, os.getpid())

    @classmethod
    def start(cls, preload: Sequence[str] = ("torch",), *, log: Path | None = None) -> Self:
        """Start a server; returns at once, the first `fork` waits until it is ready.

        Args:
            preload: Modules to import before the first fork. They must not start threads.
            log: File to which everything that the server and its workers print is appended;
                None drops it.
        """
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.settimeout(_REPLY_TIMEOUT_S)
        path = [str(Path(entry).absolute()) for entry in sys.path]
        arguments = [str(theirs.fileno()), str(os.getpid()), json.dumps(path)]
        environment = _environment()
        with theirs, (log or Path(os.devnull)).open("ab") as output:
            process = subprocess.Popen(  # noqa: S603  # our own interpreter and module
                [sys.executable, "-c", _START, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=environment | _ONE_THREAD,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        server = cls(process, ours, environment)
        server.preload(preload)
        return server

    @classmethod
    def shared(cls) -> ForkServer:
        """The server of this process, started on first use and again if it died."""
        with cls._shared_lock:
            if cls._shared is None or not cls._shared.alive:
                cls._shared = cls.start()
            cls._shared._is_shared = True
            return cls._shared

    @classmethod
    def share_copy(cls) -> None:
        """Let a copy of this process be its shared server, with all that it has imported.

        Only a process that has one thread may do this.
        """
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.settimeout(_REPLY_TIMEOUT_S)
        owner, environment = os.getpid(), _environment()
        if (pid := os.fork()) == 0:
            ours.close()
            os.setsid()
            be_server(theirs, owner)
        theirs.close()
        with cls._shared_lock:
            cls._shared = cls(Child(pid), ours, environment)

    @property
    def pid(self) -> int:
        """Process id of the server."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the server runs and can fork."""
        return self._control.fileno() >= 0 and self._process.poll() is None

    def preload(self, modules: Sequence[str]) -> None:
        """Ask the server to import more modules, and do not wait for it."""
        with self._lock, contextlib.suppress(OSError):  # a dead server is noticed by `fork`
            self._send({"do": "preload", "modules": list(modules)})

    def fork(self, entry: str, *, fds: Sequence[int] = (), nice: int = 0) -> Worker:
        """Fork a worker and run an entry in it.

        The worker sees the present working directory, `sys.path` and environment of this process, all
        but the variables that keep libraries at one thread.

        Args:
            entry: `package.module:function`, called with its end of the channel and a tuple of
                descriptors; the worker ends when it returns.
            fds: Descriptors to hand over; copies, yours stay open.
            nice: Added to the worker's niceness; positive gives way to others.

        Raises:
            WorkerDiedError: The server is gone or cannot fork, or what changed of the environment is too
                much to tell it.
        """
        request = {
            "do": "fork",
            "entry": entry,
            "nice": nice,
            "directory": str(Path.cwd()),
            "path": sys.path,
            "environment": self._changed(),
        }
        channel, theirs = Channel.pair()
        try:
            answer, received = self._ask(request, [theirs.fileno(), *fds])
        except WorkerDiedError:
            channel.close()
            # One that worked and died this moment is replaced, as `shared` would have done.
            if self._is_shared and self._has_forked and not self.alive:
                return self.shared().fork(entry, fds=fds, nice=nice)
            raise
        except BaseException:
            channel.close()
            raise
        finally:
            theirs.close()
        self._has_forked = True
        return Worker(answer["pid"], channel, received[0], self)

    def exit_code(self, pid: int) -> int | None:
        """How a worker ended, or None while it runs or when the server is gone."""
        try:
            answer, _ = self._ask({"do": "exit code", "pid": pid})
        except WorkerDiedError:
            return None
        code: int | None = answer["code"]
        return code

    def close(self) -> None:
        """End the server and its workers; those that do not end by themselves are killed."""
        self._release()

    def _changed(self) -> dict[str, str | None]:
        """Variables that were set since the server began, or are gone: these are None."""
        before, now = self._environment, _environment()
        names = {name for name in before | now if before.get(name) != now.get(name)}
        return {name: now.get(name) for name in names - _ONE_THREAD.keys()}

    def _ask(
        self, request: dict[str, Any], fds: Sequence[int] = ()
    ) -> tuple[dict[str, Any], list[int]]:
        with self._lock:
            try:
                self._send(request, fds)
                packet, received, _, _ = socket.recv_fds(
                    self._control, MAX_REQUEST_BYTES, MAX_FDS, socket.MSG_CMSG_CLOEXEC
                )
            except OSError as error:  # time-outs too: a late answer must not meet a later question
                self._control.close()
                raise WorkerDiedError(
                    f"the fork server (process {self.pid}) does not answer: {error}"
                ) from error
            if not packet:
                self._control.close()  # so that nobody takes it for alive while it is ending
        answer = json.loads(packet or b'{"error": "it has ended"}')
        if "error" in answer:
            raise WorkerDiedError(f"the fork server (process {self.pid}): {answer['error']}")
        return answer, received

    def _send(self, request: dict[str, Any], fds: Sequence[int] = ()) -> None:
        packet = json.dumps(request).encode()
        if len(packet) > MAX_REQUEST_BYTES:
            error = WorkerDiedError(
                f"a request of {len(packet):,} bytes is too long for the fork server, which takes "
                f"{MAX_REQUEST_BYTES:,}"
            )
            error.hint = (
                "sys.path, or variables of the environment that were set lately, are too long"
            )
            raise error
        socket.send_fds(self._control, [packet], fds)


def _environment() -> dict[str, str]:
    """Ours at this moment; `dict(os.environ)` fails when another thread removes a variable meanwhile."""
    found = ((name, os.environ.get(name)) for name in os.environ)
    return {name: value for name, value in found if value is not None}


def _end(process: _Process, control: socket.socket, owner: int) -> None:
    """Close a server's line and wait for its end; nothing but the line in a forked copy."""
    if os.getpid() != owner:
        control.close()
        process.returncode = 0  # not our child: it must not be waited for
        return
    with contextlib.suppress(OSError):
        control.shutdown(socket.SHUT_RDWR)  # works even where a forked copy holds the line open
    control.close()
    try:
        process.wait(GRACE_S + 4.0)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _forget_shared() -> None:
    """In a forked copy of this process: the server belongs to the original."""
    ForkServer._shared_lock = threading.Lock()
    if ForkServer._shared is not None:
        ForkServer._shared.close()
        ForkServer._shared = None


os.register_at_fork(after_in_child=_forget_shared)
