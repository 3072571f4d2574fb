"""The report of a study: what was asked for, which setting is best and by how much, and what it cost.

Its numbers are those of `Study.df()` and of the metrics of its runs, and no others.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from flnb.core.clock import SYSTEM_CLOCK
from flnb.experiments import rows
from flnb.experiments.grid import Optuna
from flnb.experiments.report import study_parts
from flnb.experiments.report.elements import Section
from flnb.experiments.report.page import page, save
from flnb.experiments.report.settings import Settings, as_text, headline_of, metrics_of, settings_of

if TYPE_CHECKING:
    import pandas as pd

    from flnb.coordinator import Lab
    from flnb.coordinator.operations import Answers
    from flnb.experiments.study import Study
    from flnb.store import StudyCell


@dataclass(frozen=True, kw_only=True)
class StudyFacts:
    """All that a report of a study tells; a snapshot of the moment it was made."""

    name: str
    cells: pd.DataFrame
    """A row a cell, as `Study.df` gives them, in their order."""
    parameters: tuple[str, ...]
    """Names of its columns that are parameters."""
    curves: pd.DataFrame
    """`run round bytes_up metric value`: bytes so far, and metrics as the columns of `cells` call them."""
    asked_for: Mapping[str, object]
    """What the study file says, and where its recipe lay."""
    environments: Mapping[str, int] = field(default_factory=dict)
    """Versions and machine of the runs' starts, as text, to how many runs."""
    main: Sequence[str] = ()
    """Metrics that are the main one, by what is asked for and by what its runs show."""
    links: Mapping[str, str] = field(default_factory=dict)
    """Key of a cell to the address of its executed notebook, from where the report lies."""

    @cached_property
    def settings(self) -> Settings:
        """Cells that differ in their seed alone, together."""
        return settings_of(self.cells, self.parameters)

    @cached_property
    def metrics(self) -> list[str]:
        """What was measured."""
        return metrics_of(self.cells)

    @cached_property
    def headline(self) -> str:
        """The metric that is drawn."""
        return headline_of(self.metrics, self.main)


def write(study: Study, path: str | Path) -> Path:
    """Write the report of a study; see `Study.report`."""
    return save(markup(facts_of(study, Path(path).absolute().parent)), path)


def facts_of(study: Study, folder: Path | None = None, ask: Answers | None = None) -> StudyFacts:
    """Ask for everything that the report tells.

    Args:
        study: Which.
        folder: Where the report will lie, for links to notebooks; None leaves these out.
        ask: Answers for whoever looks; by default the lab.
    """
    asked = [cell for cell in study.cells if cell.asked]
    cells = rows.frame(study.lab, asked, ask)
    runs = sorted({cell.run for cell in asked if cell.run})
    return StudyFacts(
        name=study.name,
        cells=cells.astype(dict.fromkeys(_NUMBERS, "float64")),
        parameters=parameters_of(asked, cells),
        curves=rows.courses(study.lab, runs, ask),
        asked_for=_asked_for(study),
        environments=_environments(study.lab, runs),
        main=_main_metrics(study, runs),
        links=_links(study.lab, asked, folder) if folder else {},
    )  # fmt: skip


_NUMBERS = ("rounds", "bytes_up", "seconds_s")
_ADDED = {"seed", *rows.FACTS}


def parameters_of(cells: Sequence[StudyCell], frame: pd.DataFrame) -> tuple[str, ...]:
    """The columns of a study's frame that are parameters, the seed apart."""
    given = {name for cell in cells for name in cell.parameters}
    columns = map(str, frame.columns)
    return tuple(one for one in columns if one.removesuffix("_") in given and one not in _ADDED)


def _main_metrics(study: Study, runs: Sequence[str]) -> list[str]:
    """What a search looks at, or else what a run of the study shows while it goes: its task says that first."""
    if isinstance(study.asked.search, Optuna):
        return [study.asked.search.metric.removeprefix("best_")]
    there = {record.name for record in study.lab.store.state.runs()}.intersection(runs)
    return [study.lab.run(run).view.headline for run in sorted(there)[:1]]


def _asked_for(study: Study) -> dict[str, str]:
    """What the study file says beside its axes, and which code it was executed with."""
    told = study.asked.model_dump(mode="json", exclude_defaults=True, exclude={"grid", "cells"})
    told["notebook"] = Path(study.asked.notebook).name
    known = {record.name: record for record in study.lab.store.state.studies()}
    if (record := known.get(study.name)) is not None:
        told |= {"flnb": record.asked_for.get("flnb", ""), "digests of the recipe's code cells": ", ".join(one[:8] for one in record.code)}  # fmt: skip
    return {str(name): as_text(value) for name, value in told.items()}


def _environments(lab: Lab, runs: Sequence[str]) -> Counter[str]:
    """Versions and machine of the starts of runs, with how many were started so."""
    wanted = set(runs)
    return Counter(
        ", ".join(f"{part} {told}" for part, told in (record.environment or {}).items())
        for record in lab.store.state.runs()
        if record.name in wanted
    )


def _links(lab: Lab, cells: Sequence[StudyCell], folder: Path) -> dict[str, str]:
    """Executed notebooks that lie on this machine, as seen from a folder; as a page where there is one."""
    found = {cell.key: lab.path / (cell.page or cell.notebook) for cell in cells if cell.notebook}
    return {
        key: quote(os.path.relpath(path.absolute(), folder))
        for key, path in found.items()
        if path.is_file()
    }


def markup(facts: StudyFacts) -> str:
    """The report as HTML."""
    sections = [
        Section("Results", study_parts.results(facts)),
        Section("Comparisons", study_parts.comparisons(facts)),
        Section("Cells", study_parts.cells(facts)),
        Section("Configuration", study_parts.configuration(facts)),
        Section("Environment and code", study_parts.environment(facts)),
    ]
    return page(
        "Federated study", facts.name, study_parts.lead(facts), sections, written=SYSTEM_CLOCK.now()
    )
