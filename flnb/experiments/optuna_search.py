"""What Optuna would try next, asked anew each time from what is known.

Akiba, Sano, Yanase, Ohta, Koyama. "Optuna: A Next-generation Hyperparameter Optimization Framework",
KDD 2019. https://arxiv.org/abs/1907.10902
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from flnb.core import derive
from flnb.core.errors import PlanError
from flnb.experiments.grid import Between, Choice, Done, Optuna, combinations, every_choice

if TYPE_CHECKING:
    import optuna

_SEEDS = 2**32
_TRIES = 20
"""So often Optuna is asked for something that was not tried before, of axes with an end of values."""
_MANY = 100_000


def suggested(search: Optuna, done: Sequence[Done], n: int) -> list[Choice]:
    """What Optuna's sampler suggests after all that was tried; the same whenever it is asked.

    No storage of Optuna is used: the rows of the study are what it would keep.

    Args:
        search: Axes, metric and direction.
        done: Everything that was asked for, in that order.
        n: How many to suggest.

    Returns:
        Choices that were not asked for before; fewer than `n` when every combination was.

    Raises:
        PlanError: Optuna is not installed.
    """
    known, found = list(done), list[Choice]()
    for _ in range(n):
        fresh = _fresh(search, known)
        if fresh is None:
            break
        found.append(fresh)
        known.append(Done(fresh))
    return found


def _fresh(search: Optuna, known: Sequence[Done]) -> Choice | None:
    """The next choice; a repeat would be the same cell, and the search would wait for nothing."""
    tried = [one.choice for one in known]
    for number in range(_TRIES):
        asked = _study(search, known, number).ask(fixed_distributions=_distributions(search))
        choice = _values(search, asked.params)
        if choice not in tried:
            return choice
    count = combinations(search.axes)
    if count is None or count > _MANY:
        return None
    left = [choice for choice in every_choice(search.axes) if choice not in tried]
    seed = derive(search.seed, round=len(known), purpose="optuna-rest")
    return left[seed % len(left)] if left else None


def _study(search: Optuna, known: Sequence[Done], number: int) -> optuna.Study:
    """Optuna's study after what is known.

    Args:
        search: Axes, metric and direction.
        known: Everything that was asked for.
        number: How often it was asked for this choice already.
    """
    try:
        import optuna
    except ModuleNotFoundError as error:
        raise PlanError(
            "this search needs optuna, which is not installed", hint="pip install 'flnb[optuna]'"
        ) from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    # A sampler draws from one generator as it goes; so each suggestion gets a sampler of its own.
    again = f" {number}" if number else ""
    seed = derive(search.seed, round=len(known), purpose=f"optuna{again}") % _SEEDS
    sampler = optuna.samplers.TPESampler(seed=seed, constant_liar=True)
    study = optuna.create_study(
        sampler=sampler, direction="minimize" if search.falls else "maximize"
    )
    for one in known:
        if _is_within(search, one.choice):
            study.add_trial(_trial(search, one))
    return study


def _is_within(search: Optuna, choice: Choice) -> bool:
    """Whether Optuna can be told of a choice: axes may be others than when it was made."""
    return all(_holds(axis, choice[name]) for name, axis in search.axes.items() if name in choice)


def _holds(axis: Between | list[Any], value: Any) -> bool:
    if isinstance(axis, Between):
        if axis.whole:
            return value in axis.wholes
        return isinstance(value, int | float) and axis.low <= value <= axis.high
    return value in axis


def _distributions(search: Optuna) -> dict[str, Any]:
    return {name: _distribution(axis) for name, axis in search.axes.items()}


def _distribution(axis: Between | list[Any]) -> Any:
    import optuna

    if not isinstance(axis, Between):
        return optuna.distributions.CategoricalDistribution(range(len(axis)))
    if axis.whole:
        return optuna.distributions.IntDistribution(axis.wholes[0], axis.wholes[-1], log=axis.log)
    return optuna.distributions.FloatDistribution(axis.low, axis.high, log=axis.log)


def _trial(search: Optuna, done: Done) -> optuna.trial.FrozenTrial:
    import optuna

    states = optuna.trial.TrialState
    measured = done.measure is not None and not math.isnan(done.measure)
    state = (states.COMPLETE if measured else states.FAIL) if done.over else states.RUNNING
    axes = {name: axis for name, axis in search.axes.items() if name in done.choice}
    return optuna.trial.create_trial(
        state=state,
        value=done.measure if state == states.COMPLETE else None,
        params={name: _place(axis, done.choice[name]) for name, axis in axes.items()},
        distributions={name: _distribution(axis) for name, axis in axes.items()},
    )


def _place(axis: Between | list[Any], value: Any) -> Any:
    """What Optuna knows a value as: of a list, by its place."""
    return value if isinstance(axis, Between) else axis.index(value)


def _values(search: Optuna, chosen: Mapping[str, Any]) -> Choice:
    return {
        name: chosen[name] if isinstance(axis, Between) else axis[chosen[name]]
        for name, axis in search.axes.items()
    }
