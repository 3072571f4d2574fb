"""Types of parameters, from the syntax tree of their annotations: a closed list, nothing is looked up."""

from __future__ import annotations

import ast
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal, Optional, Union

import annotated_types as bounds
from pydantic import (
    Field,
    NegativeFloat,
    NegativeInt,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
)

_NAMES: dict[str, Any] = {
    "int": int,
    "float": float,
    "str": str,
    "bool": bool,
    "Path": Path,
    "None": None,
    "Any": Any,
    "list": list,
    "tuple": tuple,
    "dict": dict,
    "PositiveInt": PositiveInt,
    "PositiveFloat": PositiveFloat,
    "NonNegativeInt": NonNegativeInt,
    "NonNegativeFloat": NonNegativeFloat,
    "NegativeInt": NegativeInt,
    "NegativeFloat": NegativeFloat,
}
_BOUNDS: dict[str, Callable[..., Any]] = {
    "Field": Field,
    "Gt": bounds.Gt,
    "Ge": bounds.Ge,
    "Lt": bounds.Lt,
    "Le": bounds.Le,
    "MultipleOf": bounds.MultipleOf,
    "Len": bounds.Len,
}
_FIELD_WORDS = {"gt", "ge", "lt", "le", "multiple_of", "min_length", "max_length", "description"}


def type_of(annotation: ast.expr) -> Any:
    """The type that an annotation names.

    Args:
        annotation: From `ast.parse`.

    Returns:
        A type that pydantic checks by.

    Raises:
        ValueError: It is not of the list.
    """
    match annotation:
        case ast.Constant(value=None):
            return None
        case ast.Constant(value=str(text)):
            return type_of(_parsed(text))
        case ast.Name(id=name) | ast.Attribute(attr=name) if name in _NAMES:
            return _NAMES[name]
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return Union[type_of(left), type_of(right)]  # noqa: UP007  # made of values, not written
        case ast.Subscript(value=ast.Name(id=name) | ast.Attribute(attr=name), slice=inner):
            parts = inner.elts if isinstance(inner, ast.Tuple) else [inner]
            return _of(name, parts, annotation)
    raise ValueError(ast.unparse(annotation))


def _parsed(text: str) -> ast.expr:
    try:
        return ast.parse(text, mode="eval").body
    except SyntaxError:
        raise ValueError(text) from None


def _of(name: str, parts: list[ast.expr], whole: ast.expr) -> Any:
    match name, parts:
        case "Literal", _:
            return Literal[tuple(_literal(part) for part in parts)]
        case "Optional", [one]:
            return Optional[type_of(one)]  # noqa: UP045  # made of values, not written
        case "Union", _:
            return Union[tuple(type_of(part) for part in parts)]  # noqa: UP007  # likewise
        case "list" | "List", [one]:
            return list[type_of(one)]  # type: ignore[misc]  # made of values
        case "dict" | "Dict", [key, value]:
            return dict[type_of(key), type_of(value)]  # type: ignore[misc]  # likewise
        case "tuple" | "Tuple", [one, ast.Constant(value=end)] if end is ...:
            return tuple[type_of(one), ...]  # type: ignore[misc]  # likewise
        case "tuple" | "Tuple", _:
            return tuple[tuple(type_of(part) for part in parts)]  # type: ignore[misc]  # likewise
        case "Annotated", [one, *marks]:
            return Annotated[(type_of(one), *(_bound(mark) for mark in marks))]
    raise ValueError(ast.unparse(whole))


def _literal(part: ast.expr) -> Any:
    try:
        return ast.literal_eval(part)
    except (ValueError, TypeError):
        raise ValueError(ast.unparse(part)) from None


def _bound(mark: ast.expr) -> Any:
    """A bound such as `Field(gt=0)` or `Ge(1)`; a text is a description and bounds nothing."""
    match mark:
        case ast.Constant(value=str(text)):
            return text
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)) if name in _BOUNDS:
            words = {one.arg: _literal(one.value) for one in mark.keywords if one.arg}
            if name == "Field" and not words.keys() <= _FIELD_WORDS:
                raise ValueError(ast.unparse(mark))
            try:
                return _BOUNDS[name](*(_literal(one) for one in mark.args), **words)
            except TypeError:
                raise ValueError(ast.unparse(mark)) from None
    raise ValueError(ast.unparse(mark))
