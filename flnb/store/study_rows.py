"""Studies and their cells as rows of the tables of `lab.sql`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb
import pyarrow as pa

from flnb.store.own_rows import Rows
from flnb.store.projection import append, table
from flnb.store.records import RunRecord
from flnb.store.study_labels import labelled, varying
from flnb.store.study_records import StudyCell, StudyRecord
from flnb.store.tables import STUDIES, STUDY_CELLS

Stands = Mapping[str, object]
"""Name of a study to how it stands: another value after each change of one of its cells."""


@dataclass(frozen=True, slots=True)
class Changed:
    """What the tables do not hold yet of studies, read and converted: to write it takes little."""

    before: Stands | None
    """What the tables hold; None is nothing that is known."""
    stands: Stands
    studies: pa.Table
    cells: pa.Table

    @property
    def is_any(self) -> bool:
        """Whether there is anything to write."""
        return self.stands != self.before

    def write(self, cursor: duckdb.DuckDBPyConnection) -> None:
        """Replace the rows of studies that changed; those of others stay."""
        before = self.before or {}
        same = [name for name, stands in self.stands.items() if before.get(name) == stands]
        for spec, rows in ((STUDIES, self.studies), (STUDY_CELLS, self.cells)):
            cursor.execute(f"DELETE FROM {spec.name} WHERE NOT list_contains($1, study)", [same])  # noqa: S608  # our own table names
            append(cursor, spec.name, rows)


def changed(state: Rows, runs: Sequence[RunRecord], before: Stands | None) -> Changed:
    """Read the cells of those studies that stand otherwise than before.

    Args:
        state: Where studies are.
        runs: Of the lab; their cells learn of them when they end.
        before: How the studies stood whose rows the tables hold.
    """
    # How they stand is read before their cells, which are as new as that or newer.
    studies, outcomes = state.studies(), state.study_outcomes()
    begun: dict[str | None, set[tuple[str | None, str]]] = {}
    for run in runs:
        begun.setdefault(run.study, set()).add((run.study_key, run.name))
    stands = {
        one.name: (one, outcomes.get(one.name), begun.get(one.name, set())) for one in studies
    }
    fresh = [one for one in studies if (before or {}).get(one.name) != stands[one.name]]
    cells = [state.study_cells(one.name) for one in fresh]
    study_table = table(STUDIES, [_study_row(study) for study in fresh])
    return Changed(before, stands, study_table, _cell_table(cells, runs if fresh else ()))


def _cell_table(studies: Iterable[Sequence[StudyCell]], runs: Iterable[RunRecord]) -> pa.Table:
    """Rows of the table `study_cells`, of each study its cells."""
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
