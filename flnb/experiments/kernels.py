"""Kernels that are forked from a process which has imported what recipes import.

Each cell of a study has a kernel of its own. An interpreter with Jupyter's kernel, torch and flnb takes
two to three seconds of a core to start, more than many a cell takes to train; a fork takes none. It is
a process like any other: of its own session, with the environment and the folder that it was given, and
what it imports it keeps to itself.
"""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import signal
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jupyter_client.connect import KernelConnectionInfo
from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel
from jupyter_client.provisioning.local_provisioner import LocalProvisioner

from flnb.core.errors import WorkerDiedError
from flnb.processes import Channel, ForkServer, Worker

log = logging.getLogger(__name__)

_PRELOAD = (
    "torch",
    "ipykernel.kernelapp",
    "ipykernel.ipkernel",
    "IPython.core.completer",
    "pandas",
    "sklearn.datasets",
    "duckdb",
    "icechunk",
    "zarr",
    "flnb.coordinator.coordinator",
    "flnb.tasks",
)
"""None of them starts a thread when it is imported, so that it is safe to fork afterwards."""
_LAUNCH = ["-m", "ipykernel_launcher"]
_READY_S = 30.0


class Forge:
    """What kernels are forked from: a process that is started once it is known that it can be.

    Args:
        log: Where that process writes what goes wrong in it; None drops it.
    """

    def __init__(self, log: Path | None = None) -> None:
        self._log = log
        self._server: ForkServer | None = None
        self._told = _for_interpreters(os.environ)

    def prepare(self, kernel: str) -> None:
        """Let the process begin to import if kernels of a name are Python's; the first time alone.

        Args:
            kernel: Name of a kernel; of one that is not installed whoever starts it is told.
        """
        with contextlib.suppress(NoSuchKernel):
            ours = _is_ours(KernelSpecManager().get_kernel_spec(kernel).argv)
            if ours and self._server is None:
                self._server = ForkServer.start(_PRELOAD, log=self._log)
                self._told = _for_interpreters(os.environ)

    def fork(
        self, arguments: Sequence[str], environment: Mapping[str, str], folder: str
    ) -> Worker | None:
        """Begin a kernel.

        Args:
            arguments: What `ipykernel_launcher` would get.
            environment: All of its environment.
            folder: Its working directory.

        Returns:
            Its process; None where only an interpreter that starts would do as it is told.
        """
        if self._server is None or _for_interpreters(environment) != self._told:
            return None
        try:
            worker = self._server.fork(f"{__name__}:serve", fds=[1, 2])
        except WorkerDiedError as error:
            log.warning("kernels start an interpreter: %s", error)
            return None
        try:
            worker.channel.send((list(arguments), dict(environment), folder))
            worker.channel.recv(_READY_S)
        except (EOFError, TimeoutError) as error:
            log.warning("a kernel starts an interpreter: %s", error)
            worker.kill()
            worker.close()
            return None
        return worker

    def provisioner(self, manager: Any) -> LocalProvisioner | None:
        """What starts the kernel of a manager; None if its kernel is no Python of ours.

        Args:
            manager: A `jupyter_client.KernelManager` that has not started its kernel.
        """
        if not _is_ours(manager.kernel_spec.argv):
            return None
        made = _ForkedKernel(kernel_id=manager.kernel_id or "", kernel_spec=manager.kernel_spec)
        made.parent, made.forge = manager, self
        return made

    def close(self) -> None:
        """End the process and all kernels."""
        if self._server is not None:
            self._server.close()


class _ForkedKernel(LocalProvisioner):
    """Starts one kernel by forking, or as usual where that cannot be done."""

    forge: Forge

    async def launch_kernel(self, cmd: list[str], **given: Any) -> KernelConnectionInfo:
        """Start the kernel; called by the kernel's manager."""
        folder = str(given.get("cwd") or Path.cwd())
        worker = self.forge.fork(cmd[3:], given["env"], folder)
        if worker is None:
            return await super().launch_kernel(cmd, **given)
        process: Any = _Process(worker)
        self.process = process
        self.pid = self.pgid = worker.pid
        self.cwd = folder
        return self.connection_info


class _Process:
    """A forked kernel, with what its provisioner asks of a `subprocess.Popen`."""

    stdin = stdout = stderr = None

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._code: int | None = None
        self.pid = worker.pid

    def poll(self) -> int | None:
        """Its exit code; None while it runs."""
        return None if self._worker.alive else self.wait()

    def wait(self) -> int:
        """Wait for its end; returns its exit code, or 1 if nobody knows it any more."""
        if self._code is None:
            self._worker.join()
            code = self._worker.exit_code
            self._code = 1 if code is None else code
            self._worker.close()
        return self._code

    def send_signal(self, number: int) -> None:
        """Send it a signal."""
        self._worker.kill(number)

    def terminate(self) -> None:
        """Ask it to end."""
        self._worker.kill(signal.SIGTERM)

    def kill(self) -> None:
        """End it."""
        self._worker.kill()


def serve(channel: Channel, fds: tuple[int, ...]) -> None:
    """Be a kernel; runs in the forked process."""
    arguments, environment, folder = channel.recv()
    os.setsid()
    for fd, place in zip(fds, (1, 2), strict=True):
        os.dup2(fd, place)
        os.close(fd)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    ForkServer.share_copy()  # a coordinator in the kernel needs one: the imports are there
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.argv = ["ipykernel_launcher.py", *arguments]
    if not sys.flags.safe_path:
        del sys.path[0]  # the folder in which the study was started, no part of a kernel's path
    np.random.seed()  # noqa: NPY002  # from the system, as an interpreter does: not that of all forks
    _share_cores(int(environment.get("OMP_NUM_THREADS", "1")))
    channel.send(os.getpid())

    from ipykernel.kernelapp import launch_new_instance

    try:
        with contextlib.suppress(SystemExit):
            # It watches the fork server, which ends with whoever started that.
            launch_new_instance([*arguments, f"--IPKernelApp.parent_handle={os.getppid()}"])
    finally:  # as an interpreter ends: what a library wants done at its exit, too
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()


def _is_ours(command: Sequence[str]) -> bool:
    """Whether a kernel is started as that of this very Python is."""
    programs = {"python", "python3", sys.executable}
    return list(command[1:3]) == _LAUNCH and command[0] in programs


def _for_interpreters(environment: Mapping[str, str]) -> dict[str, str]:
    """What an interpreter looks at when it starts, such as `PYTHONPATH`."""
    return {name: value for name, value in environment.items() if name.startswith("PYTHON")}


def _share_cores(threads: int) -> None:
    """Let torch and BLAS have more threads than the one with which they were imported."""
    if threads > 1:
        import torch
        from threadpoolctl import threadpool_limits  # scikit-learn's

        torch.set_num_threads(threads)
        threadpool_limits(threads)
