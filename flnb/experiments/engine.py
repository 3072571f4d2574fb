"""The engine that papermill executes a recipe with: nbclient's, which can be told to stop.

Papermill knows a time limit for a cell of a notebook and none for a notebook, and nobody else gets
hold of its kernel. Imported in workers only: papermill takes a second to import.
"""

from __future__ import annotations

import os
import signal
import threading
from typing import Any

from nbclient.exceptions import DeadKernelError
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import NBClientEngine, papermill_engines

from flnb.experiments.kernels import Forge

GRACE_S = 10.0
"""A kernel that is interrupted has so long to save; a run commits and lets go in about one second."""


class Stopped(Exception):  # noqa: N818  # an order was carried out; nothing went wrong
    """The kernel was ended on request."""


class Client(PapermillNotebookClient):  # type: ignore[misc]  # papermill has no types
    """Executes one notebook, and can be stopped from another thread."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.at = 0
        """Place of the cell that is executed, among all cells."""

    def execute_cell(self, cell: Any, cell_index: int, **named: Any) -> Any:
        """Execute a cell, unless the kernel is to end: `run.wait` swallows the first interrupt."""
        if Engine.is_stopping():
            raise Stopped
        self.at = cell_index
        try:
            return super().execute_cell(cell, cell_index, **named)
        except DeadKernelError:
            if Engine.is_stopping():
                raise Stopped from None
            raise

    def stop(self) -> None:
        """Interrupt the cell that is executed; the kernel is killed if it has not ended in time."""
        self._signal(signal.SIGINT)
        timer = threading.Timer(GRACE_S, self._signal, [signal.SIGKILL])
        timer.daemon = True
        timer.start()

    @property
    def pid(self) -> int | None:
        """Process of the kernel, while there is one."""
        provisioner = getattr(self.km, "provisioner", None)
        return getattr(provisioner, "pid", None)

    def create_kernel_manager(self) -> Any:
        """A manager that gives a kernel time to save when it is to end."""
        manager = super().create_kernel_manager()
        manager.shutdown_wait_time = GRACE_S
        if Engine.forge is not None:
            manager.provisioner = Engine.forge.provisioner(manager)
        return manager

    def _signal(self, which: signal.Signals) -> None:
        if (pid := self.pid) is not None:
            try:
                os.kill(pid, which)
            except ProcessLookupError:
                return


class Engine(NBClientEngine):  # type: ignore[misc]  # papermill has no types
    """Makes clients that can be reached while they execute."""

    client: Client | None = None
    """The one of this process: a worker executes one notebook at a time."""
    forge: Forge | None = None
    """What its kernels are forked from; without it each starts an interpreter."""
    _stopping = threading.Event()
    """Kept here, since an order to stop may come before there is a client."""

    @classmethod
    def expect(cls) -> None:
        """A notebook is to be executed; orders to stop of before were about others."""
        cls._stopping.clear()

    @classmethod
    def forget(cls) -> None:
        """No notebook is executed at this moment."""
        cls.client = None

    @classmethod
    def stop(cls) -> None:
        """End what is executed, or is about to be; from any thread."""
        cls._stopping.set()
        if (client := cls.client) is not None:
            client.stop()

    @classmethod
    def is_stopping(cls) -> bool:
        """Whether what is executed was told to stop."""
        return cls._stopping.is_set()

    @classmethod
    def execute_managed_notebook(
        cls, nb_man: Any, kernel_name: str, log_output: bool = False, **named: Any
    ) -> Any:
        """Execute a notebook; called by papermill."""
        named.pop("input_path", None)
        cls.client = Client(
            nb_man,
            kernel_name=kernel_name,
            startup_timeout=named.pop("start_timeout", 60),
            log_output=log_output,
            **named,
        )
        if cls.is_stopping():  # it was told so before it could be reached
            raise Stopped
        return cls.client.execute()


papermill_engines.register("flnb", Engine)
