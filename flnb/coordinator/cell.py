"""Where in a study this process is: the cell that it executes, as its environment says.

A study starts a kernel for each cell of its grid and names the cell there. Coordinators in it are
guests of the study's lab, and their runs are called after the cell: executed again, a recipe finds them.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from flnb.coordinator.history.comparing import leaves
from flnb.core.errors import PlanError
from flnb.core.plan import Plan

if TYPE_CHECKING:
    from flnb.store import RunRecord
    from flnb.tasks import Task

CELL = "FLNB_STUDY_CELL"
"""Names the cell: the study, `/`, and the key of the cell in hexadecimal."""
LAB = "FLNB_STUDY_LAB"
"""Address of the study's lab; coordinators of other labs are none of the cell's."""
STATE = "FLNB_STUDY_STATE"
"""Address of the database of that lab, where it is one that several machines share."""
_DIGITS = 8
"""Of the key, in names."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell of the grid of a study."""

    study: str
    key: str

    @classmethod
    def here(cls, lab: str) -> Self | None:
        """The cell that this process executes, if that is one of a study in this lab.

        Args:
            lab: Address of the lab.

        Raises:
            PlanError: The environment names no cell that could be.
        """
        named, of_lab = os.environ.get(CELL, ""), os.environ.get(LAB, "")
        if not named or (of_lab and not _same(of_lab, lab)):
            return None
        study, _, key = named.partition("/")
        hexadecimal = key and not set(key) - set("0123456789abcdef")
        if not study or not hexadecimal or len(key) < _DIGITS:
            raise PlanError(
                f"{CELL} is {named!r}, and names no cell of a study",
                hint=f"STUDY/KEY, the key in hexadecimal with {_DIGITS} digits or more",
            )
        return cls(study, key)

    @property
    def name(self) -> str:
        """What runs of the cell are called, and the guest that drives them."""
        return f"{self.study}-{self.key[:_DIGITS]}"

    def name_of(self, wanted: str | None, count: int) -> str:
        """What a run of the cell is called.

        Args:
            wanted: What the recipe calls it; None is nothing.
            count: How many the recipe has begun under that name by then, this one included.
        """
        # The number comes first: whatever a recipe calls a run, it cannot look like one.
        name = self.name if count == 1 else f"{self.name}.{count}"
        return name if wanted is None else f"{name}-{wanted}"

    def check_same(self, record: RunRecord, plan: Plan, task: Task) -> None:
        """See that a run is what the recipe asks for when it is executed again.

        Raises:
            PlanError: It is of another cell, or follows another plan; says what differs.
            FingerprintError: It learns another task.
        """
        from flnb.coordinator.jobs import (
            same_task,  # it imports much, and most processes are in no cell
        )

        if (record.study, record.study_key) != (self.study, self.key):
            whose = f"{record.study}/{record.study_key}" if record.study else "no study"
            raise PlanError(
                f"run {record.name!r} is of {whose}, not of cell {self.study}/{self.key}",
                hint="give the study another name",
            )
        if differs := _differences(Plan.from_stored(record.plan_yaml), plan):
            raise PlanError(
                f"run {record.name!r} was begun with another plan: {'; '.join(differs)}",
                hint="a cell that is executed again goes on with its run: give the recipe the plan of "
                "before, or begin the study anew under another name",
            )
        same_task(record, task, ())


def state_here(lab: str | Path) -> str | None:
    """Where the state of a lab is kept, if it is the shared lab of the study that this process is in."""
    of_lab = os.environ.get(LAB, "")
    return (os.environ.get(STATE) or None) if of_lab and _same(of_lab, str(lab)) else None


def _same(of_lab: str, lab: str) -> bool:
    if "://" in of_lab or "://" in lab:
        return of_lab.rstrip("/") == lab.rstrip("/")
    return Path(of_lab).resolve() == Path(lab).resolve()


def _differences(before: Plan, now: Plan) -> list[str]:
    was, is_ = (dict(leaves(plan.model_dump(mode="json"))) for plan in (before, now))
    return [
        f"{name} was {was.get(name, 'not there')}, is {is_.get(name, 'not there')}"
        for name in sorted(was.keys() | is_.keys())
        if was.get(name) != is_.get(name)
    ]
