"""Studies and their cells as rows of the tables of `lab.sql`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa

from flnb.store.projection import table
from flnb.store.records import RunRecord
from flnb.store.study_labels import labelled, varying
from flnb.store.study_records import StudyCell, StudyRecord
from flnb.store.tables import STUDIES, STUDY_CELLS


def study_table(studies: Iterable[StudyRecord]) -> pa.Table:
    """Rows of the table `studies`."""
    return table(STUDIES, [_study_row(study) for study in studies])


def cell_table(studies: Iterable[Sequence[StudyCell]], runs: Iterable[RunRecord]) -> pa.Table:
    """Rows of the table `study_cells`.

    Args:
        studies: Of each study its cells.
        runs: Those of the lab.
    """
    newest_first = sorted(runs, key=lambda run: run.created_at, reverse=True)
    named = {run.name: run for run in newest_first}
    begun = {(run.study, run.study_key): run for run in newest_first}  # the first run of each cell
    return table(STUDY_CELLS, [row for cells in studies for row in _cell_rows(cells, named, begun)])


def _study_row(study: StudyRecord) -> dict[str, Any]:
    return {
        "study": study.name,
        "notebook": study.notebook,
        "asked_for": json.dumps(dict(study.asked_for)),
        "created_at": study.created_at,
        "updated_at": study.updated_at,
    }


def _cell_rows(
    cells: Sequence[StudyCell],
    named: Mapping[str, RunRecord],
    begun: Mapping[tuple[str | None, str | None], RunRecord],
) -> Iterable[dict[str, Any]]:
    """Rows of the cells of one study.

    Args:
        cells: Of it.
        named: Name to run.
        begun: Study and key to the run that the cell began: a cell is told of its run when it ends.
    """
    names = varying([cell for cell in cells if cell.asked])
    for cell in cells:
        run = named.get(cell.run) or begun.get((cell.study, cell.key))
        same = {column.name: getattr(cell, column.name, None) for column in STUDY_CELLS.columns}
        yield same | {
            "study_key": cell.key,
            "label": labelled(cell, names),
            "parameters": json.dumps(dict(cell.parameters)),
            "outcome": str(cell.outcome),
            "run": run.trunk_name if run else None,
            "branch": run.branch if run else None,
        }
