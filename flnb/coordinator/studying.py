"""The part of a lab that knows its studies: notebooks that are executed with many settings."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from flnb.core import studies


class Studying:
    """Studies of a lab; `Lab` inherits it."""

    def study(
        self,
        name: str,
        notebook: str | Path | None = None,
        grid: Any = None,
        *,
        seeds: int | Sequence[int] = (),
        **settings: Any,
    ) -> Any:
        """A notebook as recipe, and what to execute it with; `run` executes it.

        Args:
            name: What the study is called, unique in the lab.
            notebook: The recipe; its cell that is tagged `parameters` says what it can be given.
                Without it the study is the one of that name that was executed before.
            grid: Name to values, of which every combination is a cell; a list of cells; or
                `flnb.experiments.Random` or `Optuna`. None is one cell, of the recipe's defaults.
            seeds: How many (0, 1, …) or which; each cell is executed with each of them.
            **settings: Others of a study file: `timeout_s`, `workers`, `report`.

        Returns:
            The study; nothing was executed or written.

        Raises:
            RecipeError: The recipe cannot be read, or has no parameter of a name (the nearest is
                offered), or one of another type.
            NotFoundError: Without `notebook`: no study of that name was executed.
            PlanError: The name cannot be one, or the axes cannot be.
            DataError: The recipe names data that is not there.
        """
        seeds = tuple(seeds) if isinstance(seeds, Iterable) else seeds
        return studies.study(self, name, notebook, grid, seeds=seeds, **settings)

    @property
    def studies(self) -> Any:
        """Every study that was executed in this lab, the last one first."""
        return studies.studies(self)
