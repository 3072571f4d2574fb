"""One thread that does one thing after the other, and that nobody has to wait for."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")


class Hand:
    """Does blocking work beside the loop; the thread starts with the first of it.

    Not an executor of the standard library, because Python waits for those when it ends, and what
    is done here may take hours.

    Args:
        name: Of the thread.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._jobs: queue.SimpleQueue[tuple[Callable[[], Any], Future[Any]] | None] = (
            queue.SimpleQueue()
        )
        self._started = False

    async def do(self, job: Callable[[], T]) -> T:
        """Do something there, and wait for what it gives; whoever stops waiting does not stop it."""
        if not self._started:
            self._started = True
            threading.Thread(target=self._main, name=self._name, daemon=True).start()
        done: Future[T] = Future()
        self._jobs.put((job, done))
        return await asyncio.wrap_future(done)

    def close(self) -> None:
        """Let the thread end, after what it is doing."""
        self._jobs.put(None)

    def _main(self) -> None:
        while (item := self._jobs.get()) is not None:
            job, done = item
            if not done.set_running_or_notify_cancel():
                continue
            try:
                done.set_result(job())
            except BaseException as error:  # whoever waits must hear it
                done.set_exception(error)
            del item, job, done  # a base and its update are large
