"""Workers of a runner, as the runner sees them: processes that answer line by line."""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from flnb.experiments.jobs import STOP, Job

_THREADS = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)
_BLOCK = 1 << 16


def thread_caps(workers: int, given: Mapping[str, str]) -> dict[str, str]:
    """Variables by which so many kernels share the cores; what somebody has set stays.

    Args:
        workers: How many cells are executed at a time.
        given: The environment as it is.

    Examples:
        >>> thread_caps(10_000, {"OMP_NUM_THREADS": "4"})["MKL_NUM_THREADS"]
        '1'
    """
    each = str(max(1, len(os.sched_getaffinity(0)) // workers))
    return {name: given.get(name, each) for name in _THREADS}


class Worker:
    """A process that executes one cell after the other.

    Args:
        log: Where it writes what is no answer, and what its kernels are forked from as well.
        environment: Beside that of this process.
    """

    def __init__(self, log: Path, environment: Mapping[str, str]) -> None:
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as errors:
            self._process = subprocess.Popen(  # noqa: S603  # our own module
                [sys.executable, "-m", "flnb.experiments.cell", str(log.absolute())],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env={**os.environ, **environment},
                start_new_session=True,  # ^C in a terminal is for the runner alone
            )
        self._rest = b""

    def fileno(self) -> int:
        """For a selector: it has something to say, or has ended."""
        assert self._process.stdout is not None, "it is a pipe"
        return self._process.stdout.fileno()

    def hear(self) -> list[dict[str, Any]] | None:
        """What it has said; None when it has ended."""
        block = os.read(self.fileno(), _BLOCK)
        if not block:
            return None
        *lines, self._rest = (self._rest + block).split(b"\n")
        return [json.loads(line) for line in lines]

    def execute(self, job: Job) -> None:
        """Give it a cell; it may still be busy with the page of the one before."""
        self._say(job.message())

    def stop(self) -> None:
        """Let it stop the kernel of the cell that it executes."""
        self._say({"do": STOP})

    def _say(self, message: Mapping[str, Any]) -> None:
        assert self._process.stdin is not None, "it is a pipe"
        try:
            self._process.stdin.write(json.dumps(message).encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            return  # it has ended, which `hear` tells

    def kill(self) -> None:
        """End it at once; its kernel sees that and ends as well."""
        self._process.kill()

    def dismiss(self) -> None:
        """Let it end by itself when it has done what it was given."""
        assert self._process.stdin is not None, "it is a pipe"
        try:
            self._process.stdin.close()
        except BrokenPipeError:
            return

    def wait(self, timeout_s: float) -> int:
        """Wait for its end, and kill it if that takes too long; returns its exit code."""
        try:
            return self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()
        finally:
            assert self._process.stdout is not None, "it is a pipe"
            self._process.stdout.close()


def ready(files: Mapping[Any, object], timeout_s: float) -> Iterator[Any]:
    """Which of some things with a `fileno` have something to read, after at most so long."""
    with selectors.DefaultSelector() as selector:
        for file in files:
            selector.register(file, selectors.EVENT_READ)
        for found, _ in selector.select(timeout_s):
            yield found.fileobj
