"""Studies of a lab elsewhere: looked at through the coordinator that holds it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flnb.coordinator.control.plain import known, with_times
from flnb.coordinator.control.wire import Wire
from flnb.coordinator.measures import Measure, Measured
from flnb.store import Outcome, StudyCell, StudyRecord
from flnb.transport.v1 import control_pb2 as pb


@dataclass(frozen=True, slots=True, kw_only=True)
class StudySummary:
    """A study in a list."""

    name: str
    notebook: str
    created_at: datetime
    updated_at: datetime
    cells: int
    """How many it asks for."""
    outcomes: Mapping[str, int]
    """How many of them stand how."""
    version: str
    """Another one whenever something became of a cell."""

    @property
    def record(self) -> StudyRecord:
        """As the state database has it, without what was asked for."""
        told = {
            name: getattr(self, name) for name in ("name", "notebook", "created_at", "updated_at")
        }
        return StudyRecord(**told, asked_for={}, code=())


class DistantStudies:
    """Asks for studies.

    Args:
        wire: Asks the service.
    """

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def newest(self, most: int) -> list[StudySummary]:
        """Those that were asked for last, the last one first."""
        told = json.loads(self._wire.whole("StudyPage", pb.PageRequest(limit=most)))
        return [StudySummary(**known(StudySummary, with_times(row))) for row in told["items"]]

    def cells(self, study: str) -> tuple[StudyCell, ...]:
        """Those that a study asks for, in their order.

        Raises:
            NotFoundError: There is no such study.
        """
        rows = (with_times(row) | {"study": study} for row in self._rows(study))
        return tuple(
            StudyCell(**known(StudyCell, row) | {"outcome": Outcome(row["outcome"])})
            for row in rows
        )

    def measured(self, study: str) -> dict[str, Measured]:
        """What its runs were measured by, by their names.

        Raises:
            NotFoundError: There is no such study.
        """
        found = self._rows(study, measured=True)
        return {row["run"]: _measured(row) for row in found if row["rounds"] is not None}

    def _rows(self, study: str, *, measured: bool = False) -> Iterator[dict[str, Any]]:
        """Each cell as it is told, page after page."""
        at, total = 0, 1
        while at < total:
            asked = pb.StudyRequest(study=study, offset=at, measured=measured)
            told = json.loads(self._wire.whole("Study", asked))
            yield from told["items"]
            at, total = at + len(told["items"]), told["total"] if told["items"] else at


def _measured(row: Mapping[str, Any]) -> Measured:
    """Numbers for which JSON has no word are null there."""
    metrics = {
        name: Measure(_number(one["last"]), one["least"], one["most"])
        for name, one in row["metrics"].items()
    }
    return Measured(row["rounds"], row["bytes_up"], metrics)


def _number(value: float | None) -> float:
    return float("nan") if value is None else value
