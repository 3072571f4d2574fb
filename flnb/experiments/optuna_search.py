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
from flnb.experiments.grid import Between, Choice, Done, Optuna

if TYPE_CHECKING:
    import optuna

_SEEDS = 2**32


def suggested(search: Optuna, done: Sequence[Done], n: int) -> list[Choice]:
    """What Optuna's sampler suggests after all that was tried; the same whenever it is asked.

    No storage of Optuna is used: the rows of the study are what it would keep.

    Args:
        search: Axes, metric and direction.
        done: Everything that was asked for, in that order.
        n: How many to suggest.

    Raises:
        PlanError: Optuna is not installed.
    """
    known, found = list(done), list[Choice]()
    for _ in range(n):
        study = _study(search, len(known))
        for one in known:
            study.add_trial(_trial(search, one))
        distributions = {name: _distribution(axis) for name, axis in search.axes.items()}
        asked = study.ask(fixed_distributions=distributions)
        found.append(_values(search, asked.params))
        known.append(Done(found[-1]))
    return found


def _study(search: Optuna, number: int) -> optuna.Study:
    try:
        import optuna
    except ModuleNotFoundError as error:
        raise PlanError(
            "this search needs optuna, which is not installed", hint="pip install 'flnb[optuna]'"
        ) from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    # A sampler draws from one generator as it goes; so each suggestion gets a sampler of its own.
    seed = derive(search.seed, round=number, purpose="optuna") % _SEEDS
    sampler = optuna.samplers.TPESampler(seed=seed, constant_liar=True)
    return optuna.create_study(sampler=sampler, direction=search.direction)


def _distribution(axis: Between | list[Any]) -> Any:
    import optuna

    if not isinstance(axis, Between):
        return optuna.distributions.CategoricalDistribution(range(len(axis)))
    if axis.whole:
        return optuna.distributions.IntDistribution(int(axis.low), int(axis.high), log=axis.log)
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
