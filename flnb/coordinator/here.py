"""Which coordinators run in this process: at most one for each lab."""

from __future__ import annotations

import logging
import threading
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flnb.coordinator.coordinator import Coordinator

log = logging.getLogger(__name__)

RUNNING: dict[Path, Coordinator] = {}
STARTING = threading.Lock()
"""Of two threads that start a coordinator at once, the second gets that of the first."""


def coordinator_of(lab: Path) -> Coordinator | None:
    """The coordinator of this process that holds a lab."""
    return RUNNING.get(lab)


def _stop_all() -> None:
    for coordinator in tuple(RUNNING.values()):
        try:
            coordinator.stop()
        except Exception:
            log.exception("%r could not be stopped", coordinator)  # the others still can


# Not `atexit`, which comes after the threads of all executors have been ended: the open round could
# not be given up any more, and the process would wait for it for ever.
threading._register_atexit(_stop_all)  # type: ignore[attr-defined]  # the only hook before that; concurrent.futures uses it too
