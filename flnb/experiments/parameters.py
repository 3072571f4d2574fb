"""The parameters of a recipe as a checked model, read from the source of its cell.

Nothing is executed: names, annotations and defaults are read from the syntax tree, so that a study
is refused before any kernel starts, and a recipe from elsewhere can be looked at safely.
"""

from __future__ import annotations

import ast
import json
import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from flnb.core import cards
from flnb.core.errors import RecipeError, did_you_mean
from flnb.experiments.annotations import type_of
from flnb.experiments.jobs import STUDY_LAB

_FIELD = tuple[Any, Any]


class Values(BaseModel):
    """The values of a recipe's parameters, frozen; each is an attribute."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    def __getattr__(self, name: str) -> Any:
        """The lab, where the recipe does not declare one."""
        if name == "lab":
            return os.environ.get(STUDY_LAB, "./lab")
        return super().__getattr__(name)  # type: ignore[misc]  # pydantic hides it from type checkers

    def __repr__(self) -> str:
        """As one writes it."""
        return ", ".join(f"{name}={value!r}" for name, value in self)

    def _repr_mimebundle_(self, **_: object) -> Mapping[str, str]:
        facts = {name: repr(value) for name, value in self}
        return cards.bundle(repr(self), cards.card("Parameters", facts))


@dataclass(frozen=True, slots=True)
class Parameters:
    """What a recipe can be given: names, types and defaults.

    Args:
        model: Made from the annotations.
        defaults: Name to default, in the order of the source.
        cell: What the cell is called in messages, such as `cell 2 of recipe.ipynb`.
        files: Parameters that name files or folders, whose content belongs to a cell's key.
    """

    model: type[Values]
    defaults: Mapping[str, Any]
    cell: str
    files: tuple[str, ...] = ()

    @classmethod
    def of(cls, source: str, cell: str) -> Parameters:
        """Read a cell that holds nothing but names with defaults, such as `alpha: float = 0.3`.

        Args:
            source: Of the cell.
            cell: What it is called in messages.

        Raises:
            RecipeError: It holds something else, a default that is no literal or does not fit its
                type, or a type that is not known.
        """
        fields: dict[str, _FIELD] = {}
        files = []
        for statement in _statements(source, cell):
            name, annotation, default = _assigned(statement, cell)
            kind = _kind(annotation, default, cell, name)
            if _names_a_file(kind):
                files.append(name)
            fields[name] = (kind, default)
        if not fields:
            raise RecipeError("the parameters cell declares nothing", cell=cell, hint=_AS_IN)
        return cls(_model(fields), {}, cell, tuple(files))._with_defaults(fields)

    def _with_defaults(self, fields: Mapping[str, _FIELD]) -> Parameters:
        given = {name: default for name, (_, default) in fields.items()}
        return Parameters(self.model, self._checked(given), self.cell, self.files)

    def with_lab(self) -> Parameters:
        """With `lab` as one more parameter, for whoever gives one to a recipe that declares none."""
        return replace(
            self,
            model=_model({"lab": (str, "")}, self.model),
            defaults={**self.defaults, "lab": "./lab"},
        )

    def check(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Complete values with the defaults, and check them.

        Args:
            values: Name to value; what JSON can hold, and numbers of numpy.

        Returns:
            Every parameter, as JSON holds it.

        Raises:
            RecipeError: A name is unknown (the nearest is offered), or a value does not fit.
        """
        self.check_names(values)
        return self._checked({**self.defaults, **values})

    def check_names(self, values: Mapping[str, Any]) -> None:
        """Refuse names that are no parameters.

        Raises:
            RecipeError: One is not; the nearest is offered.
        """
        for name in values:
            if name not in self.defaults:
                near = did_you_mean(name, self.defaults)
                said = f"there is no parameter {name!r} for {name} = {values[name]!r}"
                raise RecipeError(said, cell=self.cell, name=name, hint=near)

    def values(self, values: Mapping[str, Any]) -> Values:
        """The checked values as attributes.

        Args:
            values: As for `check`.

        Raises:
            RecipeError: As for `check`.
        """
        checked = self.check(values)
        return self.model.model_validate_json(json.dumps(checked), strict=True)

    def _checked(self, values: Mapping[str, Any]) -> dict[str, Any]:
        try:
            # As JSON and strict: a list is good for a tuple and 1 for a float, but no text for a number.
            found = self.model.model_validate_json(_json(values, self.cell), strict=True)
        except ValidationError as error:
            first = error.errors()[0]
            where, said = str(first["loc"][0]), first["msg"]
            raise RecipeError(
                f"{where} = {values.get(where)!r}: {said[:1].lower()}{said[1:]}",
                cell=self.cell,
                name=where,
            ) from None
        return found.model_dump(mode="json")


_AS_IN = "write, for example: alpha: float = 0.3"
_QUIET = (ast.Import, ast.ImportFrom)


def _names_a_file(kind: Any) -> bool:
    """Whether values of a type are paths, also where there may be none, or with bounds.

    Examples:
        >>> _names_a_file(Path | None), _names_a_file(Annotated[Path, "data"]), _names_a_file(str)
        (True, True, False)
    """
    if get_origin(kind) in {Union, UnionType, Annotated}:
        return any(map(_names_a_file, get_args(kind)))
    return kind is Path


def _statements(source: str, cell: str) -> list[ast.stmt]:
    """What declares something; imports of types and sentences in quotes are passed over."""
    try:
        body = ast.parse(source).body
    except SyntaxError as error:
        raise RecipeError(f"line {error.lineno} is not Python: {error.msg}", cell=cell) from error
    return [
        one
        for one in body
        if not isinstance(one, _QUIET)
        and not (isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant))
    ]


def _assigned(statement: ast.stmt, cell: str) -> tuple[str, ast.expr | None, Any]:
    """Name, annotation and default of one line."""
    found = _target(statement)
    if found is None or found[0].startswith("_"):
        said = f"line {statement.lineno} is no parameter with a default: {_shown(statement)}"
        raise RecipeError(said, cell=cell, hint=_AS_IN)
    name, annotation, value = found
    try:
        return name, annotation, ast.literal_eval(value)
    except (ValueError, TypeError):
        raise RecipeError(
            f"the default of {name!r} is computed: {_shown(value)}",
            cell=cell,
            name=name,
            hint="defaults are numbers, texts, None, lists, tuples and dicts of those; compute in "
            "a later cell",
        ) from None


def _target(statement: ast.stmt) -> tuple[str, ast.expr | None, ast.expr] | None:
    match statement:
        case ast.AnnAssign(target=ast.Name(id=name), annotation=kind, value=ast.expr() as value):
            return name, kind, value
        case ast.Assign(targets=[ast.Name(id=name)], value=value):
            return name, None, value
    return None


def _shown(node: ast.AST) -> str:
    text = ast.unparse(node)
    return text if len(text) <= 60 else f"{text[:59]}…"


def _kind(annotation: ast.expr | None, default: Any, cell: str, name: str) -> Any:
    if annotation is None:
        return Any if default is None else _plain(default)
    try:
        return type_of(annotation)
    except ValueError as error:
        raise RecipeError(
            f"the type of {name!r} is not known: {error}",
            cell=cell,
            name=name,
            hint="int, float, str, bool, Path, None, Literal, list, tuple, dict, |, and Annotated "
            "with bounds such as Field(gt=0)",
        ) from None


def _plain(default: Any) -> Any:
    """The type of a parameter that has none written down: that of its default."""
    return type(default) if isinstance(default, bool | int | float | str) else Any


def _model(fields: Mapping[str, _FIELD], base: type[Values] = Values) -> type[Values]:
    given: dict[str, Any] = {name: (kind, ...) for name, (kind, _) in fields.items()}
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # a parameter may be called copy, as something of pydantic is
        return create_model("Parameters", __base__=base, **given)


def _json(values: Mapping[str, Any], cell: str) -> str:
    try:
        return json.dumps(values, default=_of_numpy, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise RecipeError(f"a value that JSON cannot hold: {error}", cell=cell) from None


def _of_numpy(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"{value!r} of type {type(value).__name__}")
