"""^C as something to wait for, and not as an error in the middle of anything."""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType, TracebackType
from typing import Self


class Interrupts:
    """Counts ^C while it is open, where this is the main thread; elsewhere nobody presses it.

    `fileno` becomes readable with each of them; those that come before it is open are counted.
    """

    def __init__(self) -> None:
        self.count = 0
        self._read = self._write = -1
        self._before: object = None
        self._mine = False
        """Whether ^C comes here while it is open."""

    def fileno(self) -> int:
        """For a selector."""
        return self._read

    def clear(self) -> None:
        """Take note of what `fileno` said."""
        try:
            os.read(self._read, 64)
        except BlockingIOError:
            return

    def press(self) -> None:
        """Do as if somebody had pressed ^C; from any thread."""
        self.count += 1
        try:
            os.write(self._write, b"^")
        except OSError:
            return  # there is plenty to read already, or nobody who reads yet or any more

    def _pressed(self, _number: int, _frame: FrameType | None) -> None:
        self.press()

    def __enter__(self) -> Self:
        # Not before: whoever is told of ^C may end before it listens.
        self._read, self._write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._mine = threading.current_thread() is threading.main_thread()
        if self._mine:
            self._before = signal.signal(signal.SIGINT, self._pressed)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._mine:
            signal.signal(signal.SIGINT, self._before)  # type: ignore[arg-type]  # what signal gave
        os.close(self._read)
        closed, self._write = self._write, -1  # what comes late must not go into another file
        os.close(closed)
