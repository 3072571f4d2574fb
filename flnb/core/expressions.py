"""Conditions over the metrics of a run, such as `loss > 3 * median(loss, 10)`.

A small language, read with Python's own parser and then by a list of what is allowed; nothing is
ever evaluated as Python. There are numbers, metric names, `+ - * / **`, `< <= > >=`, `and or not`,
and these functions:

    median(name, n) mean(name, n) min(name, n) max(name, n)     of the last n measurements, the newest included
    last(name, n)       the measurement n before the newest; last(name, 0) is the name itself
    finite(x)           whether x is a number, and not infinite or NaN
    abs(x)

A bare name is what was measured centrally; `training.loss` and `federated.accuracy` name another
scope. Arithmetic is float64 with NumPy's rules: x/0 is infinite, and a comparison with NaN is false.
There is no `==`: measurements are not compared for equality.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from flnb.core.errors import NotFoundError, PlanError, did_you_mean

MAX_CHARACTERS = 200
MAX_WINDOW = 1000
SCOPES = ("central", "federated", "training")
_WINDOWS: Mapping[str, Callable[[Sequence[float]], float]] = {
    "median": lambda values: float(np.median(values)),
    "mean": lambda values: float(np.mean(values)),
    "min": lambda values: float(np.min(values)),
    "max": lambda values: float(np.max(values)),
}
_FUNCTIONS = (*_WINDOWS, "last", "finite", "abs")
_ARITHMETIC: Mapping[type[ast.operator], Callable[[np.float64, np.float64], np.float64]] = {
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b,
    ast.Div: lambda a, b: a / b,
    ast.Pow: lambda a, b: np.float64(np.power(a, b)),
}
_COMPARISONS: Mapping[type[ast.cmpop], Callable[[np.float64, np.float64], bool]] = {
    ast.Lt: lambda a, b: bool(a < b),
    ast.LtE: lambda a, b: bool(a <= b),
    ast.Gt: lambda a, b: bool(a > b),
    ast.GtE: lambda a, b: bool(a >= b),
}

Series = Mapping[str, Sequence[float]]
"""Metric to what was measured, oldest first; `training.loss` with its scope, central ones bare."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What a condition came to."""

    holds: bool
    numbers: Mapping[str, float]
    """Each name and each function of a name in it, and its value."""
    missing: str = ""
    """What was not measured often enough for an answer; then `holds` is false."""

    def __str__(self) -> str:
        """The numbers, such as `loss = 7.12, median(loss, 10) = 0.41`."""
        return ", ".join(f"{text} = {value:.4g}" for text, value in self.numbers.items())


@dataclass(frozen=True, slots=True)
class Expression:
    """A condition that can be looked at, again and again.

    Examples:
        >>> rule = Expression.parse("loss > 3 * median(loss, 10)")
        >>> rule.names, rule.window
        (('loss',), 10)
        >>> rule.look({"loss": [0.5, 0.4, 9.0]}).holds
        True
    """

    text: str
    names: tuple[str, ...]
    """Metrics that it names, each once."""
    window: int
    """How many measurements of a metric it looks back at."""
    _tree: ast.expr = field(repr=False, compare=False)

    @classmethod
    def parse(cls, text: str) -> Expression:
        """Read a condition.

        Raises:
            PlanError: It is none; names the column and what stands there.
        """
        tree = _parsed(text)
        _Reader(text).truth(tree)
        windows = [_count(call) + (_named(call) == "last") for call in _calls(tree)]
        names = tuple(dict.fromkeys(_metric(node) for node in _leaves(tree)))
        if not names:
            raise _error(text, tree, "it names no metric")
        return cls(text, names, max([1, *windows]), tree)

    def check_names(self, known: Sequence[str]) -> None:
        """See that every metric it names is one of those that are known.

        Raises:
            NotFoundError: One is not; the nearest is offered.
        """
        for name in self.names:
            if name not in known:
                raise NotFoundError("metric", name, known)

    def look(self, measured: Series) -> Finding:
        """Say whether it holds of what was measured; never raises.

        Args:
            measured: By metric. What is not there, or too short for `last`, is said as missing.
        """
        numbers: dict[str, float] = {}
        try:
            with np.errstate(all="ignore"):
                return Finding(_truth(self._tree, measured, numbers), numbers)
        except _Missing as missing:
            return Finding(False, numbers, str(missing))


class _Missing(Exception):  # noqa: N818  # not an error: it was not measured yet
    """A metric was not measured often enough."""


class _Reader:
    """Goes through a tree once, and refuses whatever is not on the list."""

    def __init__(self, text: str) -> None:
        self._text = text

    def truth(self, node: ast.expr) -> None:
        match node:
            case ast.BoolOp(values=values):
                for value in values:
                    self.truth(value)
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                self.truth(operand)
            case ast.Compare(left=left, ops=ops, comparators=others):
                for op in ops:
                    if type(op) not in _COMPARISONS:
                        raise _error(self._text, others[0], "compare with <, <=, > or >=")
                for value in (left, *others):
                    self.number(value)
            case ast.Call(func=ast.Name(id="finite"), args=[argument], keywords=[]):
                self.number(argument)
            case _:
                raise _error(self._text, node, "a comparison is wanted here, such as loss > 1")

    def number(self, node: ast.expr) -> None:
        match node:
            case ast.Constant(value=value):
                self._constant(node, value)
            case ast.Name() | ast.Attribute():
                self._name(node)
            case ast.UnaryOp(op=ast.USub() | ast.UAdd(), operand=operand):
                self.number(operand)
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _ARITHMETIC:
                self.number(left)
                self.number(right)
            case ast.Call(func=ast.Name(id="abs"), args=[argument], keywords=[]):
                self.number(argument)
            case ast.Call():
                self._window(node)
            case _:
                raise _error(self._text, node, "a number or a metric is wanted here")

    def _constant(self, node: ast.expr, value: object) -> None:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise _error(self._text, node, "a number is wanted here")
        if abs(value) > 1e300:
            raise _error(self._text, node, "this number is too large")

    def _name(self, node: ast.expr) -> None:
        if isinstance(node, ast.Attribute) and not (
            isinstance(node.value, ast.Name) and node.value.id in SCOPES
        ):
            raise _error(self._text, node, f"before the dot stands one of {', '.join(SCOPES)}")

    def _window(self, node: ast.Call) -> None:
        name = _named(node)
        if name not in _FUNCTIONS:
            raise _error(self._text, node, f"no such function; {did_you_mean(name, _FUNCTIONS)}")
        match node.args:
            case [ast.Name() | ast.Attribute() as metric, ast.Constant(value=int(n))] if (
                name not in {"finite", "abs"} and not isinstance(n, bool) and not node.keywords
            ):
                self._name(metric)
                if not (name != "last") <= n <= MAX_WINDOW:
                    raise _error(self._text, node, f"it looks back 1 to {MAX_WINDOW:,} rounds")
            case _:
                wanted = f"{name}(x)" if name in {"finite", "abs"} else f"{name}(metric, rounds)"
                raise _error(self._text, node, f"it is written {wanted}")


def _truth(node: ast.expr, measured: Series, numbers: dict[str, float]) -> bool:
    match node:
        case ast.BoolOp(op=op, values=parts):
            truths = [_truth(part, measured, numbers) for part in parts]  # all, for their numbers
            return all(truths) if isinstance(op, ast.And) else any(truths)
        case ast.UnaryOp(operand=operand):
            return not _truth(operand, measured, numbers)
        case ast.Compare(left=left, ops=ops, comparators=others):
            values = [_number(part, measured, numbers) for part in (left, *others)]
            pairs = zip(ops, values, values[1:], strict=False)
            return all(_COMPARISONS[type(sign)](a, b) for sign, a, b in pairs)
        case ast.Call(args=[argument]):
            return math.isfinite(_number(argument, measured, numbers))
    raise AssertionError("the reader refuses everything else")


def _number(node: ast.expr, measured: Series, numbers: dict[str, float]) -> np.float64:
    match node:
        case ast.Constant(value=int() | float() as value):
            return np.float64(value)
        case ast.UnaryOp(op=op, operand=operand):
            value = _number(operand, measured, numbers)
            return -value if isinstance(op, ast.USub) else value
        case ast.BinOp(left=left, op=op, right=right):
            a, b = _number(left, measured, numbers), _number(right, measured, numbers)
            return _ARITHMETIC[type(op)](a, b)
        case ast.Call(func=ast.Name(id="abs"), args=[argument]):
            return np.float64(np.abs(_number(argument, measured, numbers)))
    value = numbers[ast.unparse(node)] = _looked_up(node, measured)
    return np.float64(value)


def _looked_up(node: ast.expr, measured: Series) -> float:
    """The newest measurement of a metric, or what a function makes of the last ones."""
    call = node if isinstance(node, ast.Call) else None
    name = _metric(call.args[0] if call else node)
    values = measured.get(name, ())
    if not len(values):
        raise _Missing(f"{name} was not measured")
    if call is None:
        return float(values[-1])
    n = _count(call)
    if _named(call) != "last":
        return _WINDOWS[_named(call)](values[-n:])
    if n >= len(values):
        raise _Missing(f"{name} was measured {len(values)} times, {n + 1} are needed")
    return float(values[-1 - n])


def _parsed(text: str) -> ast.expr:
    if len(text) > MAX_CHARACTERS:
        raise PlanError(f"a condition has at most {MAX_CHARACTERS} characters, got {len(text)}")
    try:
        return ast.parse(text.strip(), mode="eval").body
    except SyntaxError as error:
        where = f" at column {error.offset}" if error.offset else ""
        raise PlanError(f"not a condition: {text!r} ({error.msg}{where})", hint=_HINT) from None
    except (ValueError, RecursionError, MemoryError, OverflowError) as error:
        raise PlanError(f"not a condition: {text!r} ({error})", hint=_HINT) from None


_HINT = "such as accuracy > 0.9, loss > 3 * median(loss, 10) or not finite(loss)"


def _error(text: str, node: ast.expr, why: str) -> PlanError:
    token = ast.get_source_segment(text.strip(), node) or text
    column = node.col_offset + 1
    return PlanError(f"not a condition: {text!r}, column {column}: {token!r}: {why}", hint=_HINT)


def _calls(tree: ast.expr) -> Iterator[ast.Call]:
    """Calls of functions that look back."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and len(node.args) == 2:
            yield node


def _leaves(tree: ast.expr) -> Iterator[ast.expr]:
    """Names of metrics; a function's name and a scope are none."""
    inner = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    inner |= {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Name | ast.Attribute) and id(node) not in inner:
            yield node


def _metric(node: ast.expr) -> str:
    return ast.unparse(node).removeprefix("central.")


def _named(call: ast.Call) -> str:
    return call.func.id if isinstance(call.func, ast.Name) else ast.unparse(call.func)


def _count(call: ast.Call) -> int:
    (_, rounds) = call.args
    assert isinstance(rounds, ast.Constant), "the reader has seen to it"
    assert isinstance(rounds.value, int), "likewise"
    return rounds.value
