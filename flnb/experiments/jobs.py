"""What a runner and its workers say to each other: one JSON object a line, over pipes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

STUDY_CELL, STUDY_LAB = "FLNB_STUDY_CELL", "FLNB_STUDY_LAB"
STUDY_STATE, STUDY_RECIPE = "FLNB_STUDY_STATE", "FLNB_STUDY_RECIPE"
"""Environment of a kernel: `STUDY/KEY`, address of the lab and of its database if it is a shared one,
the recipe that is executed. The first three are read by `flnb.coordinator.cell`."""
EXECUTE, STOP = "execute", "stop"
"""What a runner asks for; when its pipe ends, that is a `STOP` too."""
RECIPE, NOTEBOOK, HTML, LOG, RESULT = (
    "recipe.ipynb",
    "notebook.ipynb",
    "notebook.html",
    "log.txt",
    "result.json",
)
"""Files in the folder of a cell."""
READY, ENDED, PAGE = "ready", "ended", "page"
"""What a worker says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One cell for a worker."""

    folder: str
    """Where everything of the cell goes; a copy of the recipe as it was planned with lies there."""
    recipe: str
    """Where the recipe itself lies: beside what it reads."""
    values: Mapping[str, Any]
    """What is injected below the recipe's defaults."""
    environment: Mapping[str, str]
    """Of the kernel, beside what the worker has."""
    kernel: str = "python3"
    """Name of the kernel that the recipe was written for."""

    @classmethod
    def of(cls, message: Mapping[str, Any]) -> Self:
        """Read a job from a message."""
        return cls(**{name: message[name] for name in cls.__slots__})

    def message(self) -> dict[str, Any]:
        """The job as a message."""
        return {"do": EXECUTE, **asdict(self)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What became of a notebook: executed to its end, failed, or stopped on request."""

    ended: str
    """`finished`, `failed` or `stopped`."""
    why: str = ""
    failed_cell: int | None = None
    """Number of the recipe's cell that failed, from 1, among those that hold code."""
    seconds_s: float = 0.0
    notebook: str = ""

    @classmethod
    def of(cls, message: Mapping[str, Any]) -> Self:
        """Read a result from a message."""
        return cls(**{name: message[name] for name in cls.__slots__})

    def message(self) -> dict[str, Any]:
        """The result as a message."""
        return asdict(self)
