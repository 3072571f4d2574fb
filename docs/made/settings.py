"""The page of settings: everything that a plan, a strategy, a split and a run file may say."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from docs.made.markdown import code, first_paragraph, page, table
from flnb.cli.runfile import RunFile, Simulation, TaskChoice
from flnb.core import Evaluation, Guard, Local, Plan, strategy_registry
from flnb.datasets import partitioner_registry
from flnb.experiments import StudyFile

_ABOUT = """What may be said in Python (`flnb.Plan(rounds=20)`), in [a run file](../run-file.md) and after `--set`, with types and
defaults as the program has them. Each is checked when it is made; an unknown name is refused, with the nearest one."""

_SIGNS = {"gt": ">", "ge": "≥", "lt": "<", "le": "≤"}
_NO_BOUND = 1e9
"""What is as large as this only says how many bits there are."""


def groups() -> Mapping[str, list[type[BaseModel]]]:
    """Everything that people set, in the order of the page."""
    return {
        "The plan": [Plan, Local, Evaluation, Guard],
        "Strategies": [strategy_registry.find(name) for name in strategy_registry.names()],
        "Splits": [partitioner_registry.find(name) for name in partitioner_registry.names()],
        "The run file": [RunFile, TaskChoice, Simulation],
        "The study file": [StudyFile],
    }


def settings(model: type[BaseModel]) -> Iterator[tuple[str, FieldInfo, str]]:
    """Walk over the settings of a model.

    Args:
        model: Such as `flnb.Plan`.

    Yields:
        How it is written, what pydantic knows of it, and what it means.
    """
    meanings = _meanings(model)
    for name, field in model.model_fields.items():
        yield field.alias or name, field, meanings.get(name, "")


def written() -> str:
    """Write the page."""
    parts = []
    for title, models in groups().items():
        parts += [f"## {title}", *(_section(model) for model in models)]
    return page("Settings", _ABOUT, *parts)


def _section(model: type[BaseModel]) -> str:
    kind = getattr(model, "kind", "")
    known = f" In YAML `kind: {kind}`." if kind else ""
    rows = [
        [code(name), code(_type(field)), meaning, _default(field)]
        for name, field, meaning in settings(model)
    ]
    body = table(["setting", "type", "meaning", "default"], rows) if rows else "No settings."
    return f"### {code(model.__name__)}\n\n{first_paragraph(model.__doc__)}{known}\n\n{body}"


def _type(field: FieldInfo) -> str:
    return _words(field.annotation) + _bounds(field.metadata)


def _words(kind: Any) -> str:
    """A type as people say it."""
    parts = get_args(kind)
    match get_origin(kind):
        case None:
            return "None" if kind is type(None) else getattr(kind, "__name__", str(kind))
        case origin if origin is Annotated:
            return _words(parts[0]) + _bounds(parts[1:])
        case origin if origin is Literal:
            return " | ".join(repr(part) for part in parts)
        case origin if origin in {Union, UnionType}:
            return " | ".join(_words(part) for part in parts)
        case origin:
            inner = ", ".join("…" if part is ... else _words(part) for part in parts)
            return f"{origin.__name__}[{inner}]"


def _bounds(found: Iterable[Any]) -> str:
    """What a number must be, such as ` > 0`."""
    said = [
        f" {sign} {getattr(one, word):g}"
        for one in found
        for word, sign in _SIGNS.items()
        if getattr(one, word, None) is not None and abs(getattr(one, word)) < _NO_BOUND
    ]
    return ",".join(said)


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "needed"
    value = field.default
    if value is PydanticUndefined or isinstance(value, BaseModel):
        value = type(value)() if isinstance(value, BaseModel) else field.default_factory()  # type: ignore[call-arg,misc]  # none of ours takes the data
        return code(f"{type(value).__name__}()")
    return code(repr(value))


def _meanings(model: type[BaseModel]) -> dict[str, str]:
    """What stands under each field, also of the classes above."""
    found: dict[str, str] = {}
    for owner in reversed(model.__mro__):
        if issubclass(owner, BaseModel) and owner.__module__.startswith("flnb."):
            found |= _docstrings_of_fields(owner)
    return found


def _docstrings_of_fields(owner: type[Any]) -> dict[str, str]:
    (definition,) = ast.parse(textwrap.dedent(inspect.getsource(owner))).body
    assert isinstance(definition, ast.ClassDef)
    found = {}
    for field, below in zip(definition.body, definition.body[1:], strict=False):
        match field, below:
            case (
                ast.AnnAssign(target=ast.Name(id=name)),
                ast.Expr(value=ast.Constant(value=str(words))),
            ):
                found[name] = words
    return found
