"""The part of a coordinator that is a guest of its lab, and the part of its holder that attends guests."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from flnb.coordinator.cell import Cell
from flnb.coordinator.history.starting import check_same_start
from flnb.core.errors import FLBaseError, NotFoundError, RoundStateError, StoreError
from flnb.core.view import Status

if TYPE_CHECKING:
    from flnb.coordinator.history.starting import Start
    from flnb.coordinator.lab import Lab
    from flnb.coordinator.run import Run
    from flnb.core.plan import Plan
    from flnb.store import LabStore, RunRecord
    from flnb.tasks import Task

INTERVAL_S = 1.0
"""Between two looks of whoever holds the lab at what its guests have closed."""

_BEGUN = Counter[tuple[str, Cell, str | None]]()
"""How many runs this process has begun in a cell of a lab, under each name of the recipe: also with
several coordinators, one after another."""

log = logging.getLogger(__name__)


class Guesting:
    """Whether a coordinator is a guest, and in which cell of a study; `Coordinator` inherits it."""

    lab: Lab

    def __init__(self) -> None:
        self.cell: Cell | None = None
        """The cell of a study that this process executes."""
        self.guest = ""
        """Under which name it is a guest of the lab; empty of who holds the lab."""

    def resume(self, run: Run | str, task: Task | None = None) -> Run:
        """Go on with a run; see `Lab.resume`."""
        raise NotImplementedError

    def _settle(self, guest: bool | None) -> None:
        """Find out whether to be a guest; None leaves it to the environment."""
        self.cell = None if guest is False else Cell.here(self.lab.address)
        if self.cell is not None:
            self.guest = self.cell.name
        elif guest:
            self.guest = f"guest-{secrets.token_hex(4)}"

    def _check_holder(self, what: str) -> None:
        """Refuse what a guest does not do."""
        if self.guest:
            raise RoundStateError(
                f"a guest of lab {self.lab.address} {what}",
                hint="do it at the coordinator that holds the lab, such as flnb coordinator serve",
            )

    def _named(self, name: str | None) -> str | None:
        """What a run is called; in a cell, after the cell."""
        if self.cell is None:
            return name
        return self.cell.name_of(name, 1 + _BEGUN[self.lab.address, self.cell, name])

    def _count(self, name: str | None) -> None:
        """Note that a run of a cell is there, so that the next one of that name is another."""
        if self.cell is not None:
            _BEGUN[self.lab.address, self.cell, name] += 1

    def _begun_before(
        self, name: str | None, plan: Plan, task: Task, start: Start | None
    ) -> Run | None:
        """The run of a cell that was executed before: goes on, or is over already."""
        if self.cell is None:
            return None
        known = {record.name: record for record in self.lab.store.state.runs()}
        record = known.get(self._named(name) or "")
        if record is None:
            return None
        self.cell.check_same(record, plan, task)
        over = record.status in {Status.FINISHED, Status.STOPPED}
        try:
            check_same_start(self.lab, record, start, task.layout)
        except (NotFoundError, StoreError) as error:
            if not over:
                raise
            # Nothing is computed from it any more: that it went since is no reason to refuse.
            log.warning("%s is over, its start is not compared: %s", record.name, error.message)
        if over:
            self.lab.store.claim_run(record.id)
            found = self.lab.run(record.id)
        else:
            found = self.resume(self.lab.run(record.id), task)
        self._count(name)
        return found

    def _in_cell(self, record: RunRecord) -> RunRecord:
        """A new run's row, with the cell that it belongs to."""
        if self.cell is None:
            return record
        return replace(record, study=self.cell.study, study_key=self.cell.key)


async def attend(store: LabStore, in_io: Callable[..., Awaitable[Any]]) -> None:
    """Bring into the tables what guests close, and mark the runs of those that are gone; for the holder.

    Args:
        store: The lab's store.
        in_io: Does blocking work in the lab's one thread for databases.
    """
    there, silent = False, False
    state = store.state

    def look() -> tuple[bool, int]:
        # Both each time: one that came and died between two looks was never seen.
        return bool(state.guests()), state.abandoned()

    when_changed = state.when_changed(look)  # who has not written a row has nothing to be attended
    while True:
        await asyncio.sleep(INTERVAL_S)
        before = there
        try:
            there, marked = await in_io(look if there else when_changed) or (False, 0)
            if there or before or marked:  # once more when the last one has left
                await in_io(store.take_up)
            silent = False
        except FLBaseError as error:
            there = True  # looked at again
            if not silent:  # once, and not every second
                log.warning("guests of the lab are not attended: %s", error.message)
            silent = True
        except Exception:
            there = True
            log.exception("guests of the lab could not be attended")
