"""The last cell of every executed recipe: waits for what still trains, and saves.

A worker injects it. Without it a recipe that forgot `run.wait()` would end while its run goes on, and
the kernel would end in the middle of a round.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flnb.coordinator import Coordinator, Run

SOURCE = "from flnb.experiments.ending import finish\n\nfinish()"
TAG = "flnb-ending"


def finish() -> None:
    """Wait for every run of this process, and stop its coordinators.

    Raises:
        FLBaseError: Why a run that was waited for paused by itself or failed.
    """
    for run in tuple(_going()):
        at = f"round {run.view.round} of {run.view.rounds}"
        print(f"the recipe ended while {run.name} was at {at}: waiting for it")  # noqa: T201  # a cell speaks so
        run.wait()
    for coordinator in _running():
        coordinator.stop()


def _going() -> Iterator[Run]:
    for coordinator in _running():
        runs = (coordinator.lab.run(run) for run in coordinator.driven)
        yield from (run for run in runs if not run.status.over)


def _running() -> tuple[Coordinator, ...]:
    """A recipe that never made a coordinator has not imported this, and need not wait for it."""
    module = sys.modules.get("flnb.coordinator.here")
    return tuple(module.RUNNING.values()) if module is not None else ()
