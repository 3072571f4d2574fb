"""The study file of `flnb study`: a recipe, and what to execute it with.

notebook: fedavg.ipynb
grid: {alpha: [0.1, 0.3], strategy: [fedavg, fedadam]}
seeds: 3
timeout_s: 600
workers: 2
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BeforeValidator, PositiveFloat, PositiveInt, field_validator, model_validator

from flnb.core.config import Frozen
from flnb.core.errors import PlanError
from flnb.experiments.grid import Grid, Listed, Optuna, Random, Search, plain

Asked = Mapping[str, Sequence[Any]] | Sequence[Mapping[str, Any]] | Search
"""What `lab.study` takes as its grid: axes, a list of cells, or a search."""


class StudyFile(Frozen):
    """What a study asks for. It carries no state: what became of it stands in the lab."""

    notebook: str
    """The recipe; a path that is relative is so to the folder of the file."""
    name: str | None = None
    """What the study is called; None is the name of the file."""
    grid: Annotated[dict[str, list[Any]] | None, BeforeValidator(plain)] = None
    """Name to values; every combination is a cell."""
    cells: Annotated[list[dict[str, Any]] | None, BeforeValidator(plain)] = None
    """Exactly these cells."""
    random: Random | None = None
    """So many cells at random."""
    optuna: Optuna | None = None
    """So many cells, each where those before let one hope."""
    seeds: Annotated[PositiveInt | tuple[int, ...], BeforeValidator(plain)] = ()
    """How many (0, 1, …) or which; each cell is executed with each of them."""
    timeout_s: PositiveFloat | None = None
    """Longest time of a cell; None is as long as it takes."""
    workers: PositiveInt = 1
    """How many cells are executed at a time."""
    report: str | None = None
    """Where `flnb study report` writes to; None is NAME.html."""

    @field_validator("seeds")
    @classmethod
    def _different(cls, seeds: int | tuple[int, ...]) -> int | tuple[int, ...]:
        if not isinstance(seeds, int) and len(set(seeds)) < len(seeds):
            raise ValueError("the same seed twice would be the same cell twice")
        return seeds

    @model_validator(mode="after")
    def _one_search(self) -> StudyFile:
        given = [name for name in ("grid", "cells", "random", "optuna") if getattr(self, name)]
        if len(given) > 1:
            raise ValueError(f"a study has one of grid, cells, random and optuna, not {given}")
        return self

    @property
    def search(self) -> Search:
        """What asks for cells; a study without any has one cell, of the recipe's defaults."""
        chosen = self.random or self.optuna
        if chosen is not None:
            return chosen
        return Listed(listed=self.cells) if self.cells else Grid(axes=self.grid or {})

    @property
    def all_seeds(self) -> tuple[int, ...]:
        """Every seed; none where the study leaves them to the recipe."""
        return tuple(range(self.seeds) if isinstance(self.seeds, int) else self.seeds)

    @classmethod
    def of(cls, notebook: str | Path, grid: Asked | None, **settings: Any) -> StudyFile:
        """What the arguments of `lab.study` say, as a file would.

        Raises:
            PlanError: They do not fit together.
        """
        match grid:
            case None:
                given: dict[str, Any] = {}
            case Random():
                given = {"random": grid}
            case Optuna():
                given = {"optuna": grid}
            case Listed():
                given = {"cells": grid.listed}
            case Grid():
                given = {"grid": grid.axes}
            case Mapping():
                given = {"grid": {name: list(values) for name, values in grid.items()}}
            case Sequence():
                given = {"cells": [dict(one) for one in grid]}
            case _:
                raise PlanError(
                    f"{grid!r} asks for no cells", hint="axes, a list of cells, Random …"
                )
        return cls(notebook=str(notebook), **given, **settings)


def read(path: Path) -> StudyFile:
    """Read a study file.

    Args:
        path: The YAML file; its name is that of the study, unless it says another one.

    Raises:
        PlanError: No such file, not YAML, an unknown key (with its nearest neighbour), or a bad
            value.
    """
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise PlanError(f"cannot read {path}: {error}") from error
    except yaml.YAMLError as error:
        raise PlanError(f"{path} is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(found, dict):
        raise PlanError(
            f"{path} is not a mapping of settings", hint="it needs at least notebook: …"
        )
    asked = StudyFile(**{str(key): value for key, value in found.items() if value is not None})
    notebook = str(path.parent / asked.notebook)
    return asked.replace(notebook=notebook, name=asked.name or path.stem)
