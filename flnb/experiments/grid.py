"""Which cells a study asks for: a grid, a list, at random, or one after the other.

A search is a value; what it asks for next follows from what became of what it asked for before. So
a study whose runner was killed goes on as if nothing had happened.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from pydantic import Field, PositiveInt

from flnb.core import derive
from flnb.core.config import Frozen

Choice = Mapping[str, Any]
"""Parameters of one cell that are not left at their defaults."""


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

    axes: dict[str, list[Any]]

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

    listed: list[dict[str, Any]]

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

    def at(self, share: float) -> float | int:
        """The value at a share of the way from `low` to `high`.

        Examples:
            >>> Between(low=0.01, high=1, log=True).at(0.5), Between(low=1, high=8, whole=True).at(0.99)
            (0.1, 8)
        """
        if self.whole:
            return int(self.low) + int(share * (int(self.high) - int(self.low) + 1))
        if not self.log:
            return self.low + share * (self.high - self.low)
        return float(self.low * (self.high / self.low) ** share)


Axis = Between | list[Any]


class Random(Frozen):
    """So many choices drawn from its axes, each by its number: another `n` changes none of them."""

    axes: dict[str, Axis]
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

    axes: dict[str, Axis]
    n: PositiveInt
    metric: str
    """Column of `study.df()` that is looked at, such as `accuracy`."""
    direction: Literal["maximize", "minimize"] = "maximize"
    seed: int = 0
    ahead: PositiveInt = Field(default=2)
    """How many are executed at a time: what is open is known to nobody yet."""

    def cells(self, done: Sequence[Done]) -> list[Choice]:
        """As many as keep `ahead` open; see `Search.cells`."""
        from flnb.experiments.optuna_search import suggested  # optuna is an extra

        still_open = sum(not one.over for one in done)
        wanted = min(self.n - len(done), self.ahead - still_open)
        return suggested(self, done, wanted) if wanted > 0 else []
