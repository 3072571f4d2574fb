"""Finding and making studies: by their arguments, by their file, by their rows in the lab."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flnb.core import cards
from flnb.core.errors import PlanError
from flnb.experiments import study_file
from flnb.experiments.changing import FLNB
from flnb.experiments.study import Study
from flnb.experiments.study_file import Asked, StudyFile
from flnb.store import StudyRecord

if TYPE_CHECKING:
    from flnb.coordinator import Lab


def study_of(
    lab: Lab, name: str, notebook: str | Path | None, grid: Asked | None, **settings: Any
) -> Study:
    """What `Lab.study` returns; for arguments and errors see there."""
    if notebook is not None:
        study = Study(lab, name, StudyFile.of(notebook, grid, **settings))
        study.check()
        return study
    if grid is not None or any(settings.values()):
        raise PlanError(f"study {name!r} is asked for anew and needs its recipe", hint="notebook=…")
    return _known(lab, lab.store.state.study(name))


def study_from(lab: Lab, path: Path) -> Study:
    """The study that a file asks for; for errors see `Lab.study` and `study_file.read`."""
    asked = study_file.read(path)
    study = Study(lab, asked.name or path.stem, asked)
    study.check()
    return study


def studies_of(lab: Lab) -> StudyList:
    """What `Lab.studies` returns."""
    return StudyList(lab, lab.store.state.studies())


def _known(lab: Lab, record: StudyRecord) -> Study:
    asked = {name: value for name, value in record.asked_for.items() if name != FLNB}
    return Study(lab, record.name, StudyFile(**{**asked, "notebook": record.notebook}))


class StudyList(Sequence[Study]):
    """Studies of a lab, the one that was asked for last first.

    Args:
        lab: Whose.
        records: What is known of each.
    """

    def __init__(self, lab: Lab, records: Sequence[StudyRecord]) -> None:
        self._lab, self._records = lab, tuple(records)

    def __len__(self) -> int:
        return len(self._records)

    def __getitem__(self, index: Any) -> Any:
        """A study, or a list of them."""
        if isinstance(index, slice):
            return StudyList(self._lab, self._records[index])
        return _known(self._lab, self._records[index])

    def __iter__(self) -> Iterator[Study]:
        return (_known(self._lab, record) for record in self._records)

    def __repr__(self) -> str:
        """A line a study."""
        return "\n".join([f"{len(self)} studies", *(study.status.line for study in self)])

    def _repr_mimebundle_(self, **_: object) -> Mapping[str, str]:
        views = [study.status for study in self]
        rows = [(view.name, f"{view.over}/{view.total}", view.words) for view in views]
        table = cards.table(("study", "cells", "so far"), rows, left=3)
        return cards.bundle(repr(self), cards.framed(cards.quiet(f"{len(self)} studies"), table))
