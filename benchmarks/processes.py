"""A part of a benchmark in a process of its own, told what to do line by line, in JSON."""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import threading
from pathlib import Path
from types import TracebackType
from typing import Any

PATIENCE_S = 120.0
"""How long a process may be silent when a line is waited for."""
_END_S = 20.0


class Process:
    """`python -m MODULE ARGUMENTS`, for as long as a with-block lasts.

    Args:
        module: What runs there; it reads lines with `orders` and writes them with `tell`.
        arguments: Given to it.
    """

    def __init__(self, module: str, *arguments: str) -> None:
        self._name = module
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=Path(__file__).parent.parent,
            text=True,
        )
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._reading = threading.Thread(target=self._read, name=f"{module}-lines", daemon=True)
        self._reading.start()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def say(self, **order: Any) -> None:
        """Write it a line."""
        assert self._process.stdin is not None, "it was made with a pipe"
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()

    def hear(self, within_s: float = PATIENCE_S) -> dict[str, Any]:
        """Wait for its next line.

        Args:
            within_s: For how long.

        Raises:
            RuntimeError: It has ended, or says nothing.
        """
        try:
            line = self._lines.get(timeout=within_s)
        except queue.Empty:
            raise RuntimeError(f"{self._name} said nothing for {within_s:g} s") from None
        if line is None:
            raise RuntimeError(f"{self._name} has ended")
        heard: dict[str, Any] = json.loads(line)
        return heard

    def ask(self, **order: Any) -> dict[str, Any]:
        """Write a line and wait for the next one that comes back."""
        self.say(**order)
        return self.hear()

    def __enter__(self) -> Process:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        assert self._process.stdin is not None, "it was made with a pipe"
        self._process.stdin.close()  # no more orders: it ends by itself
        try:
            self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reading.join()

    def _read(self) -> None:
        assert self._process.stdout is not None, "it was made with a pipe"
        with self._process.stdout as lines:
            for line in lines:
                self._lines.put(line)
        self._lines.put(None)


def tell(**fact: Any) -> None:
    """Write a line to whoever started this process."""
    sys.stdout.write(json.dumps(fact) + "\n")
    sys.stdout.flush()
