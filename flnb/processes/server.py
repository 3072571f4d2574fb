"""What runs inside the fork server: import once, then fork on request.

Started by `ForkServer.start`. It has one thread for ever, so that a fork of it is safe at any
time. It watches three kinds of descriptors: the line to its owner, the owner itself, and its
children. When the owner is gone, children get a short while to notice it on their own channels;
then they are killed, so that no process outlives its coordinator.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import pkgutil
import select
import selectors
import signal
import socket
import sys
import traceback
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from flnb.core import SYSTEM_CLOCK
from flnb.processes.channel import Channel

MAX_REQUEST_BYTES = 1 << 17
MAX_FDS = 64
GRACE_S = 1.0
"""How long workers may take to end by themselves once the owner is gone."""


def main() -> NoReturn:
    """Serve the owner whose descriptor and process id stand in the arguments."""
    control = socket.socket(fileno=int(sys.argv[1]))
    os.set_inheritable(control.fileno(), False)
    be_server(control, owner=int(sys.argv[2]))


def be_server(control: socket.socket, owner: int) -> NoReturn:
    """Serve in a process that is there for nothing else, and end it; never returns.

    Nothing is taken apart at the end: that costs libraries time, and some complain in the log.
    """
    code = 1
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        Server(control, owner).serve()
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
        os._exit(code)


class Server:
    """The loop of the fork server.

    Args:
        control: Line to the owner; each request is one packet of JSON with descriptors.
        owner: Process id of the owner, which is our parent.
    """

    def __init__(self, control: socket.socket, owner: int) -> None:
        self._control = control
        self._children: dict[int, int] = {}  # pidfd → process id
        self._exit_codes: dict[int, int] = {}
        self._selector = selectors.DefaultSelector()
        self._selector.register(control, selectors.EVENT_READ, "control")
        # A forked copy of the owner may hold its end of the line open, so watch the owner too.
        if os.getppid() == owner:
            with contextlib.suppress(ProcessLookupError):
                self._selector.register(os.pidfd_open(owner), selectors.EVENT_READ, "owner")

    def serve(self) -> None:
        """Answer requests until the owner is gone."""
        while self._owner_lives():
            pass
        self._end_children()

    def _owner_lives(self) -> bool:
        for key, _ in self._selector.select():
            if key.data == "child":
                self._reap(key.fd)
            elif key.data == "owner" or not self._answer():
                return False
        return True

    def _answer(self) -> bool:
        try:
            packet, fds, _, _ = socket.recv_fds(
                self._control, MAX_REQUEST_BYTES, MAX_FDS, socket.MSG_CMSG_CLOEXEC
            )
        except ConnectionResetError:
            return False
        if not packet:
            return False
        request = json.loads(packet)
        match request["do"]:
            case "preload":
                preload(request["modules"])
            case "fork":
                self._fork(request, fds)
            case "exit code":
                self._reap_all()
                self._reply({"code": self._exit_codes.get(request["pid"])})
        return True

    def _reply(self, answer: dict[str, Any], fds: Sequence[int] = ()) -> None:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # noticed by the loop
            socket.send_fds(self._control, [json.dumps(answer).encode()], fds)

    def _fork(self, request: dict[str, Any], fds: list[int]) -> None:
        try:
            pid = os.fork()
        except OSError as error:
            self._reply({"error": str(error)})
            return
        if pid == 0:
            self._control.close()
            self._selector.close()
            for pidfd in self._children:
                os.close(pidfd)
            become_worker(request, fds)
        for fd in fds:
            os.close(fd)
        # Nobody but us reaps the child, so its process id cannot have been given away.
        pidfd = os.pidfd_open(pid)
        self._children[pidfd] = pid
        self._exit_codes.pop(pid, None)
        self._selector.register(pidfd, selectors.EVENT_READ, "child")
        self._reply({"pid": pid}, [pidfd])

    def _reap(self, pidfd: int) -> None:
        if pidfd not in self._children:
            return  # reaped a moment ago, on request
        pid, status = os.waitpid(self._children[pidfd], os.WNOHANG)
        if pid:
            self._exit_codes[pid] = os.waitstatus_to_exitcode(status)
            self._selector.unregister(pidfd)
            del self._children[pidfd]
            os.close(pidfd)

    def _reap_all(self) -> None:
        for pidfd in list(self._children):
            self._reap(pidfd)

    def _end_children(self) -> None:
        deadline = SYSTEM_CLOCK.monotonic_s() + GRACE_S
        for pidfd in self._children:
            left_s = max(0.0, deadline - SYSTEM_CLOCK.monotonic_s())
            if not has_ended(pidfd, left_s):
                signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        for pid in self._children.values():
            os.waitpid(pid, 0)


def has_ended(pidfd: int, timeout_s: float | None = 0.0) -> bool:
    """Whether the process behind a pidfd ends within so many seconds; None waits for ever."""
    waiting = select.poll()
    waiting.register(pidfd, select.POLLIN)
    return bool(waiting.poll(None if timeout_s is None else 1000 * timeout_s))


def preload(modules: Sequence[str]) -> None:
    """Import modules for all later children, and keep their memory shared.

    A module that cannot be imported is written to the log; the worker that needs it will fail
    with the same words.
    """
    for module in modules:
        try:
            importlib.import_module(module)
        except Exception:  # whatever a foreign module raises must not end the server
            traceback.print_exc()
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(1)
    gc.collect()
    gc.freeze()  # the collector would touch, and so copy, every page in every child


def _change_environment(changes: Mapping[str, str | None]) -> None:
    """Bring the environment to that of the owner: None is a variable that is gone there."""
    for name, value in changes.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def become_worker(request: dict[str, Any], fds: Sequence[int]) -> NoReturn:
    """Run the entry in a freshly forked process and end it; never returns."""
    code = 1
    try:
        os.nice(request["nice"])
        os.chdir(request["directory"])
        sys.path[:] = request["path"]
        _change_environment(request["environment"])
        channel = Channel(socket.socket(fileno=fds[0]))
        pkgutil.resolve_name(request["entry"])(channel, tuple(fds[1:]))
        code = 0
    except EOFError:
        code = 0  # the owner is gone or has closed the channel: that is how a worker ends
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)
