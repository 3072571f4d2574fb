"""From what a study asks for to its cells, each with its key; nothing is executed or written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from flnb.core.errors import PlanError, RecipeError
from flnb.experiments.grid import Between, Choice, Done, Optuna, Random
from flnb.experiments.key import DataFingerprints, is_smoke, key_of
from flnb.experiments.recipe import Recipe
from flnb.experiments.study_file import StudyFile
from flnb.store import Outcome, StudyCell

LAB = "lab"
"""The parameter that says where the lab is: a study sets it, and it is no part of a key."""
_MANY = 100_000


@dataclass(frozen=True, slots=True)
class Planner:
    """Makes cells of choices.

    Args:
        study: Its name.
        recipe: What is executed.
        asked: What the study asks for.
        data: Fingerprints of what the recipe reads.
    """

    study: str
    recipe: Recipe
    asked: StudyFile
    data: DataFingerprints

    def check(self) -> None:
        """Refuse what cannot be executed, before a kernel starts.

        Raises:
            RecipeError: An axis is no parameter (the nearest is offered), a value does not fit its
                type, there are seeds and no parameter for them, or its kernel is not installed.
            PlanError: An axis is empty, or there are too many cells.
        """
        self.recipe.check_kernel()
        self.recipe.check_seeds(self.asked.all_seeds)
        for name, values in self._axes().items():
            self._check_axis(name, values)
        if self.asked.all_seeds and "seed" in self._axes():
            raise RecipeError(
                "seed is an axis and seeds are given", name="seed", hint="leave one out"
            )
        for choice in self.asked.cells or ():
            self._values(choice, None)

    def _check_axis(self, name: str, values: Sequence[Any]) -> None:
        if not values:
            raise PlanError(f"axis {name!r} of study {self.study!r} has no values")
        if name == LAB:
            raise RecipeError("the lab is no axis: it is that of the study", name=LAB)
        for value in values:
            self._values({name: value}, None)

    def _axes(self) -> Mapping[str, Sequence[Any]]:
        search = self.asked.search
        if not isinstance(search, Random | Optuna):
            return self.asked.grid or {}
        return {
            name: [axis.at(0.0), axis.at(1.0 - 2**-53)] if isinstance(axis, Between) else axis
            for name, axis in search.axes.items()
        }

    def cells(self, known: Sequence[StudyCell], measures: Mapping[str, float]) -> list[StudyCell]:
        """Every cell that is asked for by now.

        Args:
            known: What the study asked for before, with what became of it.
            measures: Key to what the search looks at, of cells that have it.

        Returns:
            In order, those of `known` as they are, others waiting.

        Raises:
            RecipeError: The recipe cannot be given one.
            DataError: It names data that is not there.
            PlanError: There are too many.
        """
        rows = {cell.key: cell for cell in known}
        search, choices = self.asked.search, list[Choice]()
        if isinstance(search, Optuna):
            choices = self._choices_before(search, known)
        done = [self._done(choice, rows, measures) for choice in choices]
        choices += search.cells(done)
        if len(choices) * max(1, len(self.asked.all_seeds)) > _MANY:
            raise PlanError(f"study {self.study!r} asks for more than {_MANY:,} cells")
        planned: dict[str, StudyCell] = {}
        for choice in choices:
            for cell in self._of(choice):
                planned.setdefault(cell.key, rows.get(cell.key, cell))
        return [
            replace(one, position=place, asked=True) for place, one in enumerate(planned.values())
        ]

    def _of(self, choice: Choice) -> list[StudyCell]:
        """A choice with each seed."""
        return [self._cell(choice, seed) for seed in self.asked.all_seeds or (None,)]

    def _cell(self, choice: Choice, seed: int | None) -> StudyCell:
        values = self._values(choice, seed)
        seed = values.get("seed") if seed is None else seed
        seed = seed if isinstance(seed, int) else None
        key = key_of(self.recipe, values, seed, self.data.of(self.recipe, values))
        return StudyCell(
            study=self.study, key=key, position=0, parameters=values, seed=seed, smoke=is_smoke()
        )

    def _values(self, choice: Choice, seed: int | None) -> dict[str, Any]:
        given = dict(choice) | ({} if seed is None else {"seed": seed})
        values = self.recipe.parameters.check(given)
        values.pop(LAB, None)
        return values

    def _choices_before(self, search: Optuna, known: Iterable[StudyCell]) -> list[Choice]:
        """What a search that looks at results asked for before, each once."""
        found: list[Choice] = []
        for cell in known:
            choice = {name: cell.parameters.get(name) for name in search.axes}
            if cell.asked and choice not in found:
                found.append(choice)
        return found

    def _done(
        self, choice: Choice, rows: Mapping[str, StudyCell], measures: Mapping[str, float]
    ) -> Done:
        mine = [rows.get(cell.key, cell) for cell in self._of(choice)]
        measured = [measures[cell.key] for cell in mine if cell.key in measures]
        over = all(not cell.outcome.goes_on for cell in mine)
        mean = sum(measured) / len(measured) if over and measured else None
        return Done(choice, mean, over)


def anew(cell: StudyCell) -> StudyCell:
    """A cell as if nothing had become of it."""
    return StudyCell(
        study=cell.study,
        key=cell.key,
        position=cell.position,
        parameters=cell.parameters,
        seed=cell.seed,
        smoke=cell.smoke,
    )


def stale(
    planned: Sequence[StudyCell], known: Sequence[StudyCell], defaults: Mapping[str, Any]
) -> list[tuple[StudyCell, StudyCell]]:
    """Cells that were finished under another key: their recipe, their data or flnb changed since.

    Args:
        planned: What is asked for now.
        known: What became of all that was asked for before.
        defaults: Of the recipe's parameters now: the value of one that a cell of before did not have.

    Returns:
        Each that is not finished, with the newest finished one of the same parameters, seed and size.
    """
    keys = {cell.key for cell in planned}
    finished = [one for one in known if one.outcome is Outcome.FINISHED and one.key not in keys]
    before, found = Before(finished, defaults), []
    for cell in planned:
        if cell.outcome is not Outcome.WAITING or cell.attempts:
            continue
        # Two rounds are no result for a cell of two hundred.
        same = [one for one in before.alike(cell) if one.smoke == cell.smoke]
        gone = [_gone(one, cell) for one in same]
        if same and all(one == gone[0] for one in gone):  # else nobody knows which of them it is
            found.append((cell, max(same, key=lambda one: (one.asked, str(one.ended_at)))))
    return found


class Before:
    """Finds cells of before by what they were given: to compare each with each takes minutes of large studies.

    Args:
        known: Those cells.
        defaults: The value of a parameter that one of them did not have.
    """

    def __init__(self, known: Sequence[StudyCell], defaults: Mapping[str, Any]) -> None:
        self._known, self._defaults = known, defaults
        self._by_values: dict[tuple[str, ...], dict[object, list[StudyCell]]] = {}
        """Names of parameters to their values, with the seed, to cells; recipes name few sets of them."""

    def alike(self, cell: StudyCell) -> list[StudyCell]:
        """Those that were given what a cell is, of whatever size, in order."""
        names = tuple(sorted(cell.parameters))
        if names not in self._by_values:
            places = self._by_values[names] = {}
            for one in self._known:
                places.setdefault(self._values(one, names), []).append(one)
        return self._by_values[names].get(self._values(cell, names), [])

    def _values(self, cell: StudyCell, names: Sequence[str]) -> object:
        given = cell.parameters
        return cell.seed, *(_hashable(given.get(name, self._defaults.get(name))) for name in names)


def _hashable(value: Any) -> object:
    """A value of JSON as a key, equal to what it equals."""
    if isinstance(value, list | tuple):
        return tuple(map(_hashable, value))
    if isinstance(value, Mapping):
        return frozenset((name, _hashable(one)) for name, one in value.items())
    return value


def _gone(before: StudyCell, cell: StudyCell) -> dict[str, Any]:
    """What a cell of before was given and nobody is any more."""
    return {name: value for name, value in before.parameters.items() if name not in cell.parameters}
