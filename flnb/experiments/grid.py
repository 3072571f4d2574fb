"""Which cells a study asks for: a grid, a list, at random, or one after the other.

A search is a value; what it asks for next follows from what became of what it asked for before. So
a study whose runner was killed goes on as if nothing had happened.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol, Self

import numpy as np
from pydantic import BeforeValidator, Field, PositiveInt, model_validator

from flnb.core import derive
from flnb.core.config import Frozen
from flnb.experiments.report.measured import lower_by_its_end, lower_is_better

Choice = Mapping[str, Any]
"""Parameters of one cell that are not left at their defaults."""


def plain(value: Any) -> Any:
    """A value as JSON gives it back: numbers and arrays of NumPy as Python's, tuples as lists.

    Examples:
        >>> plain({"alpha": np.arange(3), "hidden": [(32, 16), np.float32(0.5)]})
        {'alpha': [0, 1, 2], 'hidden': [[32, 16], 0.5]}
    """
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, Mapping):
        return {name: plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple | range):
        return [plain(one) for one in value]
    return str(value) if isinstance(value, Path) else value


@dataclass(frozen=True, slots=True)
class Done:
    """A choice that was asked for, and what became of it."""

    choice: Choice
    measure: float | None = None
    """Mean over its seeds of what the search looks at; None while it is open, or where it failed."""
    over: bool = False
    """Whether nothing more will become of it."""


class Search(Protocol):
    """Asks for cells."""

    def cells(self, done: Sequence[Done]) -> list[Choice]:
        """What is to be executed next, beside what was asked for before.

        Args:
            done: Everything that was asked for, in that order.

        Returns:
            Nothing as long as it waits for what is open, and at the end.
        """
        ...


class Grid(Frozen):
    """Every combination of the values of its axes, the last axis quickest."""

    axes: Annotated[dict[str, list[Any]], BeforeValidator(plain)]

    def cells(self, done: Sequence[Done]) -> list[Choice]:
        """All of it at once; see `Search.cells`.

        Examples:
            >>> Grid(axes={"a": [1, 2], "b": ["x"]}).cells([])
            [{'a': 1, 'b': 'x'}, {'a': 2, 'b': 'x'}]
        """
        if done:
            return []
        combined = itertools.product(*self.axes.values())
        return [dict(zip(self.axes, values, strict=True)) for values in combined]


class Listed(Frozen):
    """Exactly these."""

    listed: Annotated[list[dict[str, Any]], BeforeValidator(plain)]

    def cells(self, done: Sequence[Done]) -> list[Choice]:
        """All of it at once; see `Search.cells`."""
        return [] if done else [dict(one) for one in self.listed]


class Between(Frozen):
    """An axis from where to where values are drawn."""

    low: float
    high: float
    log: bool = False
    """Whether as many are drawn from 0.01 to 0.1 as from 0.1 to 1."""
    whole: bool = False
    """Whether only whole numbers are."""

    @model_validator(mode="after")
    def _has_values(self) -> Self:
        if not self.low < self.high:
            raise ValueError(f"low is {self.low:g} and must be below high, which is {self.high:g}")
        if self.log and self.low <= 0:
            raise ValueError(f"low is {self.low:g} and must be above 0 with log")
        if self.whole and not self.wholes:
            raise ValueError(f"there is no whole number from {self.low:g} to {self.high:g}")
        return self

    @property
    def wholes(self) -> range:
        """The whole numbers between its ends, these included."""
        return range(math.ceil(self.low), math.floor(self.high) + 1)

    def at(self, share: float) -> float | int:
        """The value at a share of the way from `low` to `high`.

        Examples:
            >>> Between(low=0.01, high=1, log=True).at(0.5), Between(low=1, high=8, whole=True).at(0.99)
            (0.1, 8)
        """
        if not self.whole:
            return min(max(_between(self.low, self.high, share, log=self.log), self.low), self.high)
        # Each has its share of the way: that of an end is as wide as that of any other.
        first, last = self.wholes[0], self.wholes[-1]
        drawn = round(_between(first - 0.5, last + 0.5, share, log=self.log))
        return min(max(drawn, first), last)


def _between(low: float, high: float, share: float, *, log: bool) -> float:
    return low * (high / low) ** share if log else low + share * (high - low)


Axis = Between | list[Any]
Axes = Annotated[dict[str, Axis], BeforeValidator(plain)]


def combinations(axes: Mapping[str, Axis]) -> int | None:
    """How many there are; None where an axis has no end of values.

    Examples:
        >>> combinations({"alpha": [0.1, 0.3], "epochs": Between(low=1, high=4, whole=True)})
        8
    """
    values = _listed(axes)
    return None if values is None else math.prod(map(len, values))


def every_choice(axes: Mapping[str, Axis]) -> Iterator[Choice]:
    """Every combination, the last axis quickest; none where an axis has no end of values."""
    values = _listed(axes)
    for combined in () if values is None else itertools.product(*values):
        yield dict(zip(axes, combined, strict=True))


def _listed(axes: Mapping[str, Axis]) -> list[Sequence[Any]] | None:
    found: list[Sequence[Any]] = []
    for axis in axes.values():
        if isinstance(axis, Between) and not axis.whole:
            return None
        found.append(axis.wholes if isinstance(axis, Between) else axis)
    return found


class Random(Frozen):
    """So many choices drawn from its axes, each by its number: another `n` changes none of them."""

    axes: Axes
    n: PositiveInt
    seed: int = 0

    def cells(self, done: Sequence[Done]) -> list[Choice]:
        """All of it at once; see `Search.cells`."""
        return [] if done else [self._choice(number) for number in range(self.n)]

    def _choice(self, number: int) -> Choice:
        return {name: self._drawn(number, name, axis) for name, axis in self.axes.items()}

    def _drawn(self, number: int, name: str, axis: Axis) -> Any:
        seed = derive(self.seed, round=number, purpose=f"random-search {name}")
        share = float(np.random.default_rng(seed).random())
        return axis.at(share) if isinstance(axis, Between) else axis[int(share * len(axis))]


class Optuna(Frozen):
    """So many choices, each where those before let one hope; needs optuna."""

    axes: Axes
    n: PositiveInt
    metric: str
    """Column of `study.df()` that is looked at, such as `accuracy`."""
    direction: Literal["maximize", "minimize", ""] = ""
    """Empty is what the end of the name says: `minimize` of a loss, an error, …, `maximize` of any other."""
    seed: int = 0
    ahead: PositiveInt = Field(default=2)
    """How many are executed at a time: what is open is known to nobody yet."""

    @property
    def falls(self) -> bool:
        """Whether a smaller value is a better one: what somebody wrote, or else the end of its name."""
        if self.direction:
            return self.direction == "minimize"
        return lower_by_its_end(self.metric)

    @property
    def course(self) -> str:
        """Where it goes, in words: a guess from a name may be wrong, and so may be what was written.

        Examples:
            >>> Optuna(axes={}, n=1, metric="error_free").course
            "the search maximizes 'error_free'; by a word of its name less may be better: direction says which"
        """
        told = f"the search {'minimizes' if self.falls else 'maximizes'} {self.metric!r}"
        if self.falls or not lower_is_better(self.metric):
            return told
        return f"{told}; by a word of its name less may be better: direction says which"

    def cells(self, done: Sequence[Done]) -> list[Choice]:
        """As many as keep `ahead` open; see `Search.cells`."""
        from flnb.experiments.optuna_search import suggested  # optuna is an extra

        still_open = sum(not one.over for one in done)
        wanted = min(self.n - len(done), self.ahead - still_open)
        return suggested(self, done, wanted) if wanted > 0 else []
