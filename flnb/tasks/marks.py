"""Whether a module marks tasks, found out without running any of it.

Who imports a module runs it. The name of a task that comes from elsewhere must not be a way to run any
module that lies on this machine: it is imported if its source marks tasks, and a person could see so.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import find_spec, resolve_name

from flnb.core.errors import TaskError

_WORD = "importable"
_MOST_STEPS = 8
"""From a package that imports a function to the module where it is written."""


def check_marks(module: str, function: str) -> None:
    """Look whether a module may be imported for others; one that is imported already runs nothing more.

    Its source must mark tasks with `importable`. A package may also import the function from a module
    of its own that does.

    Raises:
        TaskError: It may not, or there is none of that name.
    """
    if module in sys.modules:
        return
    if _spec(module) is None:
        raise TaskError(
            f"the task {module}:{function} cannot be imported: no module {module!r} is found",
            hint="start the service where the module can be found",
        )
    if not _marks(module, function, _MOST_STEPS):
        raise not_marked(f"{module}:{function}")


def not_marked(use: str) -> TaskError:
    """What is said of a function that may not be called for others."""
    return TaskError(
        f"{use} is not marked as a task that may be made for others",
        hint="decorate the function with @flnb.tasks.importable, also where the service runs",
    )


def _marks(module: str, function: str, steps: int) -> bool:
    spec = _spec(module)
    tree = None if spec is None else _tree(spec)
    if spec is None or tree is None:
        return False
    if any(_is_mark(node) for node in ast.walk(tree)):
        return True
    if spec.submodule_search_locations is None or not steps:
        return False  # a script that takes a task from elsewhere would run, too
    return any(_marks(*source, steps - 1) for source in _sources(tree, function, module))


def _is_mark(node: ast.AST) -> bool:
    match node:
        case ast.Attribute(attr=word) | ast.alias(name=word):
            return word == _WORD
        case ast.FunctionDef(decorator_list=marks):  # a variable may be called so anywhere
            inner = (name for mark in marks for name in ast.walk(mark))
            return any(isinstance(name, ast.Name) and name.id == _WORD for name in inner)
    return False


def _sources(tree: ast.Module, function: str, package: str) -> Iterator[tuple[str, str]]:
    """From which modules of a package it may have a function, and under which name there."""
    for node in tree.body:
        if not isinstance(node, ast.ImportFrom):
            continue
        for alias in node.names:
            if alias.name != "*" and (alias.asname or alias.name) != function:
                continue
            try:
                source = resolve_name("." * node.level + (node.module or ""), package)
            except ImportError:  # beyond the top
                continue
            if source.startswith(f"{package}."):
                yield source, function if alias.name == "*" else alias.name


def _spec(module: str) -> ModuleSpec | None:
    """Where a module lies; `find_spec` alone would import the packages around it."""
    head, *others = module.split(".")
    try:
        spec = find_spec(head)
        for name in others:
            inside = None if spec is None else spec.submodule_search_locations
            # By its last name: a folder without `__init__` would ask for the package around it.
            spec = None if inside is None else PathFinder.find_spec(name, list(inside))
    except (ImportError, ValueError):
        return None
    return spec


def _tree(spec: ModuleSpec) -> ast.Module | None:
    """The source of a module, read."""
    read = getattr(spec.loader, "get_source", None)
    try:
        return ast.parse(read(spec.name) or "") if read is not None else None
    except (ImportError, SyntaxError, ValueError, RecursionError, MemoryError):
        return None  # what cannot be read marks nothing
