"""The settings of a study: which parameters vary, and which cells differ in their seed alone."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flnb.experiments.report.measured import lower_is_better

if TYPE_CHECKING:
    import pandas as pd

SETTING = "setting"
"""Column that names what a cell shares with those of other seeds."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One combination of the parameters that vary."""

    name: str
    levels: Mapping[str, str]
    """Parameter to its value as text."""
    cells: pd.DataFrame
    """A row a seed."""


@dataclass(frozen=True, slots=True)
class Settings:
    """All combinations of a study, in the order in which they were asked for."""

    axes: tuple[str, ...]
    """Parameters that vary."""
    all: tuple[Setting, ...]

    def levels(self, axis: str) -> list[str]:
        """The values of a parameter, in order of appearance; numbers rise."""
        return in_order([one.levels[axis] for one in self.all])

    @property
    def is_grid(self) -> bool:
        """Whether most combinations of the values are there: a search has few of them."""
        n_combinations = 1
        for axis in self.axes:
            n_combinations *= len(self.levels(axis))
        return len(self.all) >= n_combinations / 2


def settings_of(cells: pd.DataFrame, parameters: Sequence[str]) -> Settings:
    """Put the cells of a study together that differ in their seed alone.

    Args:
        cells: A row a cell, as `Study.df` gives them.
        parameters: Names of the columns that are parameters.
    """
    texts = {name: [as_text(told) for told in cells[name]] for name in parameters}
    axes = tuple(name for name, told in texts.items() if len(set(told)) > 1)
    levels = [dict(zip(axes, row, strict=True)) for row in zip(*(texts[a] for a in axes), strict=True)]  # fmt: skip
    levels = levels or [{} for _ in range(len(cells))]
    named = cells.assign(**{SETTING: [_name(one) for one in levels]})
    by_name = dict(zip(named[SETTING], levels, strict=True))
    made = [
        Setting(name, by_name[name], mine)
        for name, mine in ((str(key), part) for key, part in named.groupby(SETTING, sort=False))
    ]
    return Settings(axes, tuple(made))


_MAIN = ("accuracy", "auc")
"""What is drawn where nobody says what is, the first that is there."""


def headline_of(metrics: Sequence[str], said: Sequence[str] = ()) -> str:
    """The metric that is drawn: what the study or its runs say, else accuracy, AUC, one's own, a loss.

    Args:
        metrics: What was measured.
        said: What is the main one, by whoever says so, the one that counts most first.
    """
    central = [one for one in metrics if not one.startswith(("federated_", "training_"))]
    own = [one for one in central if not lower_is_better(one)]
    named = [one for one in (*said, *_MAIN) if one in metrics]
    loss = [one for one in central if one == "loss"]
    return next(iter([*named, *own, *loss, *central, *metrics]), "")


def metrics_of(cells: pd.DataFrame) -> list[str]:
    """The metrics of a study: columns that have a best one beside them."""
    known = set(cells.columns)
    return [name for name in cells.columns if f"best_{name}" in known]


def as_text(value: Any) -> str:
    """A value of a parameter, as short as it can be.

    Examples:
        >>> as_text(0.10), as_text("fedavg"), as_text([32, 16]), as_text(None)
        ('0.1', 'fedavg', '[32, 16]', 'none')
    """
    if value is None or value != value:  # NaN: a cell of a list need not say every parameter
        return "none"
    value = getattr(value, "item", lambda: value)()  # NumPy's numbers are ours then
    if isinstance(value, float):
        return f"{value:.6g}"
    return value if isinstance(value, str) else json.dumps(value, default=str)


def in_order(levels: Sequence[str]) -> list[str]:
    """Different values, numbers rising, anything else as it came.

    Examples:
        >>> in_order(["1", "0.3", "0.1", "1"]), in_order(["fedprox", "fedavg"])
        (['0.1', '0.3', '1'], ['fedprox', 'fedavg'])
    """
    different = list(dict.fromkeys(levels))
    try:
        return sorted(different, key=float)
    except ValueError:
        return different


def _name(levels: Mapping[str, str]) -> str:
    return ", ".join(f"{axis} = {level}" for axis, level in levels.items()) or "the one setting"
