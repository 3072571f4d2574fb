"""`flnb.params()`: the parameters of the notebook that runs, checked, whoever executes it."""

from __future__ import annotations

import ast
import os
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from flnb.core.errors import RecipeError
from flnb.core.progress import in_kernel
from flnb.experiments.jobs import STUDY_RECIPE
from flnb.experiments.parameters import Parameters, Values
from flnb.experiments.recipe import Recipe, digest

_NOTEBOOK = ("JPY_SESSION_NAME", "__vsc_ipynb_file__")
"""By what Jupyter and VS Code tell a kernel which notebook it belongs to."""
_INJECTED = re.compile(r"\s*# Parameters\s*\n")
"""How the cell begins that papermill puts below the parameters cell."""


def params() -> Values:
    """Read the parameters of this notebook back as one checked value, and show them.

    They are declared in the cell that is tagged `parameters`, and have by now the values that a
    study, papermill or a person gave them. In a study that cell is known; elsewhere it is that of the
    notebook this kernel belongs to, or the last cell before this one that declares nothing but names
    with defaults.

    Returns:
        Each parameter as an attribute, frozen; and `lab`, the address of the study's lab, or of
        `./lab` outside of a study where the recipe does not say another one.

    Raises:
        RecipeError: No such cell was executed; a value does not fit its type; or papermill was given
            a name that no parameter has (the nearest is offered).
    """
    given = _namespace()
    executed = list(given.get("_ih", ()))
    parameters = _declared(given, executed)
    for source in executed:
        _check_injected(source, parameters)
    values = {name: given.get(name, default) for name, default in parameters.defaults.items()}
    found = parameters.values(values)
    if in_kernel():
        from IPython.display import display

        display(found)  # type: ignore[no-untyped-call]  # IPython has no types
    return found


def _declared(given: Mapping[str, Any], executed: Sequence[str]) -> Parameters:
    if named := os.environ.get(STUDY_RECIPE):
        return Recipe.read(named).parameters
    if (recipe := _of_this_notebook(given, executed)) is not None:
        return recipe.parameters
    for source in reversed(executed[:-1]):
        if _INJECTED.match(source) or not source.strip():
            continue
        try:
            return Parameters.of(source, "the parameters cell")
        except RecipeError:
            continue  # it does something else
    raise RecipeError(
        "no cell was executed that declares parameters",
        hint="declare them in a cell of their own, tagged parameters: alpha: float = 0.3; run it first",
    )


def _of_this_notebook(given: Mapping[str, Any], executed: Sequence[str]) -> Recipe | None:
    """The saved notebook that this kernel belongs to, if its parameters cell was executed as saved."""
    named = [os.environ.get(name) or given.get(name) for name in _NOTEBOOK]
    known = {digest(source) for source in executed}
    for path in (Path(str(one)) for one in named if one):
        if path.suffix == ".ipynb" and path.is_file():
            try:
                recipe = Recipe.read(path)
            except RecipeError:
                continue
            if digest(recipe.sources[recipe.place]) in known:
                return recipe
    return None


def _check_injected(source: str, parameters: Parameters) -> None:
    """Refuse names that papermill was given and nobody reads: it takes any."""
    if _INJECTED.match(source):
        pairs = [
            (one.targets[0], one.value)
            for one in ast.parse(source).body
            if isinstance(one, ast.Assign)
        ]
        names = {name.id: ast.unparse(value) for name, value in pairs if isinstance(name, ast.Name)}
        parameters.check_names(names)


def _namespace() -> Mapping[str, Any]:
    """The names of the notebook; `_ih` are its executed cells, the one that runs is the last."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return shell.user_ns if shell is not None else {}
