"""What a service tells of studies: which there are, what became of their cells; to viewers without words of theirs."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from flnb.coordinator.control.looks import sees_clients
from flnb.coordinator.control.pages import page_of, written
from flnb.coordinator.measures import Measured, measured
from flnb.store import Outcome, StudyCell, StudyRecord, viewed
from flnb.transport import Claims
from flnb.transport.v1 import control_pb2 as pb

if TYPE_CHECKING:
    from flnb.coordinator.coordinator import Coordinator

_OF_CELL = (
    *("key", "position", "parameters", "seed", "outcome", "why", "run", "origin", "began_at"),
    *("ended_at", "seconds_s", "attempts", "failed_cell", "notebook"),
)


class Studied:
    """Answers about studies; they block.

    Args:
        coordinator: Whose lab it is.
    """

    def __init__(self, coordinator: Coordinator) -> None:
        self._lab = coordinator.lab
        self._state = coordinator.lab.store.state
        self.answers: Mapping[str, Any] = {"StudyPage": self._studies, "Study": self._study}

    def _studies(self, claims: Claims, asked: pb.PageRequest) -> bytes:
        with self._state.at_one_moment():
            known, page = self._state.studies(), page_of(asked)
            part = known[page.offset : page.offset + page.limit]
            outcomes = self._state.study_outcomes()
        items = [_told(claims, one, outcomes.get(one.name, {})) for one in part]
        return written(items, len(known), page)

    def _study(self, claims: Claims, asked: pb.StudyRequest) -> bytes:
        with self._state.at_one_moment():
            record, page = self._state.study(asked.study), page_of(asked)
            # Those that it asks for; what became of others that it once asked for is in SQL.
            cells = [cell for cell in self._state.study_cells(record.name) if cell.asked]
            outcomes = self._state.study_outcomes().get(record.name, {})
        part = cells[page.offset : page.offset + page.limit]
        runs = {cell.run for cell in part if cell.run} if asked.measured else set()
        found = measured(self._lab, runs)
        items = [_cell(claims, cell, found.get(cell.run)) for cell in part]
        return written(items, len(cells), page, **_told(claims, record, outcomes))


def _told(
    claims: Claims, record: StudyRecord, outcomes: Mapping[Outcome, tuple[Any, ...]]
) -> dict[str, Any]:
    """A study without its cells. Where a recipe lay on a disk is not for viewers."""
    notebook = record.notebook if sees_clients(claims) else PurePath(record.notebook).name
    return {
        "name": record.name,
        "notebook": notebook,
        "created_at": record.created_at,
        "updated_at": record.updated_at,
        "cells": sum(count for count, *_ in outcomes.values()),
        "outcomes": {str(outcome): count for outcome, (count, *_) in outcomes.items()},
        "version": hashlib.sha256(repr((record, outcomes)).encode()).hexdigest()[:16],
    }


def _cell(claims: Claims, cell: StudyCell, found: Measured | None) -> dict[str, Any]:
    """A cell as it travels."""
    shown = cell if sees_clients(claims) else viewed(cell)
    told = {name: getattr(shown, name) for name in _OF_CELL}
    measures = asdict(found) if found else {"rounds": None, "bytes_up": None, "metrics": {}}
    return told | measures
