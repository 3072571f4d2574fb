"""One thread with one event loop: the coordinator's own, never the kernel's.

Cells run, block and get interrupted; this loop goes on. Everybody else hands it coroutines and
waits, if at all, on a plain future.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor, Future
from typing import Any, TypeVar, TypeVarTuple

from flnb.core.errors import FLBaseError, RoundStateError
from flnb.processes import share_heaps

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class LoopThread:
    """Owns a daemon thread that runs one event loop until `stop`."""

    def __init__(self, name: str) -> None:
        share_heaps()  # before the threads that work for the loop
        self._ready = threading.Event()
        self._loop = _Loop()
        self._thread = threading.Thread(target=self._main, name=name, daemon=True)

    def start(self) -> None:
        """Start the thread; returns when the loop runs."""
        self._thread.start()
        self._ready.wait()

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop, for `call_soon_threadsafe` and the like."""
        return self._loop

    @property
    def here(self) -> bool:
        """Whether the caller is in the loop's own thread."""
        return threading.current_thread() is self._thread

    def submit(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Run a coroutine there, and return at once."""
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def call(self, work: Coroutine[Any, Any, T], timeout_s: float | None = None) -> T:
        """Run a coroutine there, and wait for its result.

        Raises:
            RoundStateError: Called from the loop's own thread, where it would wait for itself.
        """
        if self.here:
            work.close()
            raise RoundStateError("a callback of the coordinator must not wait for the coordinator")
        return self.submit(work).result(timeout_s)

    def stop(self) -> None:
        """Cancel what still runs, wait for what it does in threads, and end the thread."""
        if not self._thread.is_alive():
            self._loop.close()  # it is open still where the thread could not begin
            return
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def _main(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.call_soon(self._ready.set)
        try:
            self._loop.run_forever()
        finally:
            tasks = asyncio.all_tasks(self._loop)
            for task in tasks:
                task.cancel()
            self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
            # Commands of others are at work there, which must not outlast the lease.
            self._loop.run_until_complete(self._loop.shutdown_default_executor())
            self._loop.close()


class _Loop(asyncio.SelectorEventLoop):
    """A loop that goes on whatever is raised in the threads beside it."""

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[*Ts], T], *args: *Ts
    ) -> asyncio.Future[T]:
        return super().run_in_executor(executor, _contained, func, *args)


def _contained(work: Callable[[*Ts], T], *arguments: *Ts) -> T:
    """Do work of a thread that may not end more than itself.

    asyncio raises SystemExit and KeyboardInterrupt out of the loop, also where a task has waited for
    a thread that raised them: one `exit()` in a module of somebody's would end the coordinator.

    Raises:
        FLBaseError: It wanted to end the process.
    """
    try:
        return work(*arguments)
    except Exception:
        raise
    except BaseException as error:
        raise FLBaseError(
            f"what was to be done in a thread ended with {type(error).__name__}: {error}",
            hint="code of a task or a plug-in must not end the process: no exit(), also not on import",
        ) from error
