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
    it is that of the notebook that is executed from its top, or that this kernel belongs to, or the
    last cell before this one that declares nothing but names with defaults.

    Returns:
        Each parameter as an attribute, frozen; and `lab`, the address of the study's lab, or of
        `./lab` outside of a study where neither the recipe nor who gave values says another one.

    Raises:
        RecipeError: No such cell was executed; a value does not fit its type; or papermill or
            jupyter-scheduler was given a name that no parameter has (the nearest is offered).
    """
    shell = _shell()
    given: Mapping[str, Any] = shell.user_ns if shell is not None else {}
    parameters, names = _declared(shell, given)
    if "lab" in names and "lab" not in parameters.defaults and STUDY_LAB not in os.environ:
        parameters = parameters.with_lab()
    parameters.check_names(names)
    values = {name: given.get(name, default) for name, default in parameters.defaults.items()}
    found = parameters.values(values)
    if in_kernel():
        from IPython.display import display

        display(found)  # type: ignore[no-untyped-call]  # IPython has no types
    return found


def _declared(shell: Any, given: Mapping[str, Any]) -> tuple[Parameters, Mapping[str, str]]:
    """What the recipe declares, and the values that a cell below gives, by name as they are written."""
    # As they were written, the one that runs is the last: `In` has other text for %magics.
    executed = list(shell.history_manager.input_hist_raw) if shell is not None else []
    injected = [one for one in executed if _INJECTED.match(one) and _only_assigns(one)]
    names = {name: value for source in injected for name, value in _assigned(source).items()}
    if named := os.environ.get(STUDY_RECIPE):
        return Recipe.read(named).parameters, names
    program = _is_executed_by_a_program(shell)
    if program and (job := _of_this_job(shell, executed)) is not None:
        recipe, source = job
        return recipe.parameters, {**names, **_assigned(source)}
    if (found := _of_this_notebook(given, executed)) is not None:
        return found.parameters, names
    rest = [one for one in executed[:-1] if one.strip() and one not in injected]
    while rest:
        source = rest.pop()
        if (declared := _only_declares(source)) is None:
            continue  # it does something else
        before = _only_declares(rest[-1]) if program and rest else None
        if before is not None and _gives(source, before):
            return before, {**names, **_assigned(source)}
        return declared, names
    raise RecipeError(
        "no cell was executed that declares parameters",
        hint="declare them in a cell of their own, tagged parameters: alpha: float = 0.3; run it first",
    )


def _is_executed_by_a_program(shell: Any) -> bool:
    """Whether cells come from a program such as jupyter-scheduler, and not from a person.

    The cells alone do not tell: a person who edits the parameters cell and runs it again leaves the
    same two, one below the other. A program says with each cell that nobody would answer `input()`;
    whatever people sit in front of can ask them.
    """
    asked: Mapping[str, Any] = getattr(getattr(shell, "kernel", None), "get_parent", dict)()
    return asked.get("content", {}).get("allow_stdin") is False


def _of_this_job(shell: Any, executed: Sequence[str]) -> tuple[Recipe, str] | None:
    """The notebook that is executed from its top, and the cell put below its parameters, if any.

    jupyter-scheduler leaves a copy of the notebook, without that cell, where the kernel begins.
    """
    done = [source for source in executed if source.strip()]
    began = Path(shell.history_manager.dir_hist[0])
    recipes = [one for path in sorted(began.glob("*.ipynb")) if (one := _read(path))]
    for more in (0, 1):  # one that has all of these cells is meant, before one that lacks a cell
        for recipe in recipes:
            cells = [source for source in recipe.sources if source.strip()]
            below = cells.index(recipe.sources[recipe.place]) + 1
            added, rest = done[below : below + more], done[:below] + done[below + more :]
            same = [*map(digest, rest)] == [*map(digest, cells[: len(rest)])]
            if same and len(rest) > below and all(map(_only_assigns, added)):
                return recipe, "".join(added)
    return None


def _only_declares(source: str) -> Parameters | None:
    try:
        return Parameters.of(source, "the parameters cell")
    except RecipeError:
        return None


def _gives(source: str, before: Parameters) -> bool:
    """Whether a cell gives values to the one before: jupyter-scheduler writes nothing above its own."""
    return _only_assigns(source) and _assigned(source).keys() <= {*before.defaults, "lab"}


def _only_assigns(source: str) -> bool:
    try:
        return all(isinstance(one, ast.Assign) for one in ast.parse(source).body)
    except SyntaxError:  # a %magic
        return False


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
            recipe = _read(path)
            if recipe is not None and digest(recipe.sources[recipe.place]) in known:
                return recipe
    return None


def _read(path: Path) -> Recipe | None:
    try:
        return Recipe.read(path)
    except RecipeError:
        return None


def _shell() -> Any:
    ipython = sys.modules.get("IPython")
    return ipython.get_ipython() if ipython is not None else None
