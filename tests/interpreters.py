"""Programs in processes of their own, forked from an interpreter that has imported everything.

Each is a process like any other: it has arguments, an environment, a folder, three streams and an exit
code, and it is killed like any other. Only the seconds that torch takes are saved, and what a run of
this process trains meanwhile. A test of how an interpreter starts or ends starts a real one.
"""

from __future__ import annotations

import atexit
import importlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
import types
from collections.abc import Sequence
from concurrent import futures
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self

import psutil

from flnb.core import failpoints
from flnb.processes import Channel, ForkServer, Worker

PRELOAD = (
    "torch",
    "tests.e2e.crash_subject",
    "flnb.coordinator",
    "flnb.coordinator.remote.front",
    "flnb.engines.worker",
    "flnb.client",
    "flnb.cli.app",
    "flnb.cli.driving",
    "flnb.cli.lines",
    "flnb.store.committing",
    "tests.e2e.remote_client",
    "tests.interpreters",
    "sklearn.datasets",
    "icechunk",
    "zarr",
    "pyarrow.pandas_compat",
    "psycopg",
)
FLNB = "from flnb.cli import main; sys.exit(main())"
"""The program `flnb`."""


class Program:
    """A process that runs a program, with as much of `subprocess.Popen` as tests ask for.

    Args:
        worker: The process.
        server: What it was forked from, which alone learns how it ended.
        streams: Our ends of its standard input, output and, unless that is a file, error.
    """

    def __init__(self, worker: Worker, server: ForkServer, streams: Sequence[int]) -> None:
        self.pid = worker.pid
        self.returncode: int | None = None
        self._worker, self._server = worker, server
        self.stdin = os.fdopen(streams[0], "w", encoding="utf-8")
        self.stdout, *error = (os.fdopen(end, encoding="utf-8") for end in streams[1:])
        self.stderr = error[0] if error else None

    def poll(self) -> int | None:
        """How it ended; None while it runs."""
        if self.returncode is None and self._worker.join(0.0):
            self.returncode = self._worker.exit_code
        return self.returncode

    def wait(self, timeout: float = 60.0) -> int:
        """Wait for its end; returns how it ended."""
        if not self._worker.join(timeout):
            raise subprocess.TimeoutExpired([f"process {self.pid}"], timeout)
        while (code := self.poll()) is None:
            assert self._server.alive, "nobody is left who knows how it ended"
            time.sleep(0.001)  # it has ended, and its parent has not noticed yet
        return code

    def stopped(self) -> None:
        """Wait until it has stopped, as at a failpoint."""
        give_up_s = time.monotonic() + 60.0
        while psutil.Process(self.pid).status() != psutil.STATUS_STOPPED:
            assert self.poll() is None, "it has ended"
            assert time.monotonic() < give_up_s, "it does not stop"
            time.sleep(0.01)

    def communicate(self, said: str = "", timeout: float = 60.0) -> tuple[str, str]:
        """Say something, and read all that it says until its end, which must come in time."""
        give_up_s = time.monotonic() + timeout
        self.stdin.write(said)
        self.stdin.close()
        readers = ThreadPoolExecutor(2)
        heard = [readers.submit(each.read if each else str) for each in (self.stdout, self.stderr)]
        readers.shutdown(wait=False)  # they end with the process, which may go on after `timeout`
        futures.wait(heard, timeout)
        self.wait(max(0.0, give_up_s - time.monotonic()))
        out, err = (each.result(1.0) for each in heard)
        return out, err

    def send_signal(self, number: int) -> None:
        """Send a signal, to nobody once it has ended."""
        self._worker.kill(number)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it."""
        self.send_signal(signal.SIGKILL)

    def close(self) -> None:
        """End it, if it runs, and close its streams."""
        self.kill()
        self._worker.join(60.0)
        for stream in (self.stdin, self.stdout, self.stderr):
            if stream is not None and not stream.closed:
                stream.close()
        self._worker.close()

    def __enter__(self) -> Self:
        """Have it for a while."""
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """It must end by itself once nothing more is said to it, unless something failed."""
        try:
            if kind is None:
                self.stdin.close()
                self.wait()
        finally:
            self.close()


class Interpreters:
    """A process that has imported everything, and the programs that are forked from it.

    Args:
        folder: Where what nobody reads is written.
        first: Modules that it imports before all others.
    """

    def __init__(self, folder: Path, first: Sequence[str] = ()) -> None:
        self.log = folder / "output"
        self.server = ForkServer.start((*first, *PRELOAD), log=self.log)

    def start(
        self,
        program: str,
        *arguments: str | Path,
        cwd: Path | None = None,
        log: Path | None = None,
        **environment: str,
    ) -> Program:
        """Begin a program, as `python -c PROGRAM ARGUMENTS…` would.

        Args:
            program: Python; `sys` is imported.
            arguments: What it finds in `sys.argv[1:]`.
            cwd: Folder in which it runs; this one by default.
            log: File to which its standard error is appended; by default we read it.
            environment: Added to the environment of this process.
        """
        order = (program, ["-c", *map(str, arguments)], str(cwd or Path.cwd()))
        ours, theirs = socket.socketpair()
        given, our_input = os.pipe()
        pipes = [os.pipe() for _ in range(1 if log else 2)]
        ends = [given, *(write for _, write in pipes)]
        if log:
            ends.append(os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644))
        with ours, theirs:
            worker = self.server.fork("tests.interpreters:serve", fds=[theirs.fileno()])
            worker.channel.send((*order, {**os.environ, **environment}))
            socket.send_fds(ours, [b"-"], ends)
        for end in ends:
            os.close(end)
        return Program(worker, self.server, [our_input, *(read for read, _ in pipes)])

    def run(
        self, program: str, *arguments: str | Path, said: str = "", **options: Any
    ) -> subprocess.CompletedProcess[str]:
        """Run a program to its end; options are those of `start`."""
        with self.start(program, *arguments, **options) as process:
            out, err = process.communicate(said, timeout=300.0)
            return subprocess.CompletedProcess(arguments, process.wait(), out, err)

    def flnb(self, *arguments: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run a command of `flnb` to its end."""
        return self.run(FLNB, *arguments, **options)

    def close(self) -> None:
        """End everybody."""
        self.server.close()


def serve(channel: Channel, fds: tuple[int, ...]) -> None:
    """Be such a program; runs in the forked process."""
    program, arguments, folder, environment = channel.recv()
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    importlib.reload(failpoints)  # reads the environment
    with socket.socket(fileno=fds[0]) as line:
        ForkServer.share_copy()  # before there are streams, which would stay open in it
        _, streams, _, _ = socket.recv_fds(line, 1, 3)
    for stream, place in zip(streams, (0, 1, 2), strict=True):
        os.dup2(stream, place)
        os.close(stream)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.argv = arguments
    code = _as_main(program)
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _as_main(program: str) -> int:
    """Execute a program as the main module; returns its exit code."""
    main = types.ModuleType("__main__")
    main.__dict__["sys"] = sys
    sys.modules["__main__"] = main
    try:
        exec(compile(program, "<string>", "exec"), main.__dict__)
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
        return 1
    return 0
