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
from flnb.experiments.jobs import STUDY_LAB, STUDY_RECIPE
from flnb.experiments.parameters import Parameters, Values
from flnb.experiments.recipe import Recipe, digest

_NOTEBOOK = ("JPY_SESSION_NAME", "__vsc_ipynb_file__")
"""By what Jupyter and VS Code tell a kernel which notebook it belongs to."""
_INJECTED = re.compile(r"\s*# Parameters\s*\n")
"""How the cell begins that papermill puts below the parameters cell."""


def params() -> Values:
    """Read the parameters of this notebook back as one checked value, and show them.

    They are declared in the cell that is tagged `parameters`, and have by now the values that a
    study, papermill, jupyter-scheduler or a person gave them. In a study that cell is known; elsewhere
    it is that of the notebook this kernel belongs to, or the last cell before this one that declares
    nothing but names with defaults.

    Returns:
        Each parameter as an attribute, frozen; and `lab`, the address of the study's lab, or of
        `./lab` outside of a study where neither the recipe nor who gave values says another one.

    Raises:
        RecipeError: No such cell was executed; a value does not fit its type; or papermill was given
            a name that no parameter has (the nearest is offered).
    """
    given = _namespace()
    executed = list(given.get("_ih", ()))
    parameters, names = _declared(given, executed)
    if "lab" in names and "lab" not in parameters.defaults and STUDY_LAB not in os.environ:
        parameters = parameters.with_lab()
    parameters.check_names(names)
    values = {name: given.get(name, default) for name, default in parameters.defaults.items()}
    found = parameters.values(values)
    if in_kernel():
        from IPython.display import display

        display(found)  # type: ignore[no-untyped-call]  # IPython has no types
    return found


def _declared(
    given: Mapping[str, Any], executed: Sequence[str]
) -> tuple[Parameters, Mapping[str, str]]:
    """What the recipe declares, and the values that a cell below gives, by name as they are written."""
    injected = [source for source in executed if _INJECTED.match(source)]
    names = {name: value for source in injected for name, value in _assigned(source).items()}
    if named := os.environ.get(STUDY_RECIPE):
        return Recipe.read(named).parameters, names
    if (recipe := _of_this_notebook(given, executed)) is not None:
        return recipe.parameters, names
    rest = [one for one in executed[:-1] if one.strip() and one not in injected]
    while rest:
        source = rest.pop()
        if (found := _only_declares(source)) is None:
            continue  # it does something else
        before = _only_declares(rest[-1]) if rest else None
        if before is not None and _gives(source, before):
            return before, {**names, **_assigned(source)}
        return found, names
    raise RecipeError(
        "no cell was executed that declares parameters",
        hint="declare them in a cell of their own, tagged parameters: alpha: float = 0.3; run it first",
    )


def _only_declares(source: str) -> Parameters | None:
    try:
        return Parameters.of(source, "the parameters cell")
    except RecipeError:
        return None


def _gives(source: str, before: Parameters) -> bool:
    """Whether a cell gives values to the one before: jupyter-scheduler writes nothing above its own."""
    plain = all(isinstance(one, ast.Assign) for one in ast.parse(source).body)
    return plain and _assigned(source).keys() <= {*before.defaults, "lab"}


def _assigned(source: str) -> dict[str, str]:
    pairs = [
        (one.targets[0], one.value) for one in ast.parse(source).body if isinstance(one, ast.Assign)
    ]
    return {name.id: ast.unparse(value) for name, value in pairs if isinstance(name, ast.Name)}


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


def _namespace() -> Mapping[str, Any]:
    """The names of the notebook; `_ih` are its executed cells, the one that runs is the last."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return shell.user_ns if shell is not None else {}
