"""A study that is executed while its notebook goes on."""

from __future__ import annotations

import atexit
import contextlib
import logging
import threading
from collections.abc import Callable

from flnb.experiments.interrupts import Interrupts
from flnb.experiments.labels import failure

log = logging.getLogger(__name__)


class Background:
    """Executes a study on a thread of its own.

    At the end of the process kernels are interrupted, and their runs go on another time.

    Args:
        name: Of the study.
        holding: The right to execute it, let go on that thread.
        work: Executes it; gets what `press` is told to, and returns whether it came to its end.
    """

    def __init__(
        self,
        name: str,
        holding: contextlib.AbstractContextManager[object],
        work: Callable[[Interrupts], bool],
    ) -> None:
        self._name, self._holding, self._work = name, holding, work
        self._interrupts = Interrupts()
        self._finished = False
        self._error: BaseException | None = None
        self._thread = threading.Thread(
            target=self._execute, name=f"flnb-study-{name}", daemon=True
        )
        atexit.register(self._leave)
        self._thread.start()

    @property
    def goes_on(self) -> bool:
        """Whether it is executed at this moment."""
        return self._thread.is_alive()

    @property
    def failure(self) -> str:
        """Why it could not be executed further, in one line; empty of one that could."""
        return failure(self._error) if self._error is not None else ""

    def press(self) -> None:
        """As ^C: the first time nothing new begins, the second one interrupts what runs."""
        self._interrupts.press()

    def wait(self, timeout_s: float | None) -> bool:
        """Wait for its end.

        Args:
            timeout_s: Give up waiting after so long.

        Returns:
            Whether it came to its end, and was not stopped.

        Raises:
            FLBaseError: Why it could not be executed further.
            TimeoutError: It still goes on.
        """
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            raise TimeoutError(f"the study still goes on after {timeout_s:g} s")
        if self._error is not None:
            raise self._error
        return self._finished

    def _execute(self) -> None:
        try:
            with self._holding:
                self._finished = self._work(self._interrupts)
        except BaseException as error:  # `wait` raises it to whoever asks
            self._error = error
            log.error("study %s ended: %s", self._name, self.failure)  # noqa: TRY400  # in one line
        finally:
            atexit.unregister(self._leave)

    def _leave(self) -> None:
        self.press()
        self.press()
        self._thread.join()
