"""How rounds go: the plan that people write, in Python or YAML.

A plan is frozen, checked when it is made, and round-trips through YAML. A strategy is named in
it and carries its own settings; which strategies there are is the business of `flnb.strategies`.
"""

from __future__ import annotations

import hashlib
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Protocol, Self

import yaml
from pydantic import (
    BeforeValidator,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PlainSerializer,
    PositiveFloat,
    PositiveInt,
    ValidationInfo,
    field_validator,
    model_validator,
)

from flnb.core.config import Frozen
from flnb.core.errors import PlanError
from flnb.core.guards import Guard
from flnb.core.ids import ClientId
from flnb.core.registry import Registry

if TYPE_CHECKING:
    from flnb.core.check import PlanCheck
    from flnb.core.messages import TaskSummary

Fraction = Annotated[float, Field(ge=0.0, lt=1.0)]


class Local(Frozen):
    """What each client does in a round.

    Examples:
        >>> Local(epochs=5, batch_size=10).replace(lr=0.05).lr
        0.05
    """

    epochs: PositiveInt | None = 1
    """Passes over the client's own data; None when `steps` counts instead."""
    steps: PositiveInt | None = None
    """Optimiser steps, whatever the amount of data; None when `epochs` counts."""
    batch_size: PositiveInt | None = 32
    """Examples a step; None is all of the client's data at once (B = ∞ in McMahan et al.)."""
    lr: PositiveFloat = 0.1
    """Step size of the client optimiser, per step."""
    momentum: Fraction = 0.0
    """Heavy-ball momentum, started anew each round."""
    weight_decay: NonNegativeFloat = 0.0
    """L2 pull to zero, added to the gradient."""
    prox_mu: NonNegativeFloat = 0.0
    """FedProx pull to the global model (Li et al. 2020, eq. 2); 0 is plain FedAvg."""
    clip_grad_norm: PositiveFloat | None = None
    """Largest L2 norm of a step's gradient; None does not clip."""

    @model_validator(mode="after")
    def _one_length(self) -> Self:
        if (self.epochs is None) == (self.steps is None):
            raise ValueError("Local needs either epochs or steps, not both (steps=5, epochs=None)")
        return self


class Evaluation(Frozen):
    """When the global model is measured, and on what."""

    central_every: NonNegativeInt = 1
    """Measure on the task's held-out data every so many rounds and at the end; 0 is never."""
    federated: bool = False
    """Let each client of the cohort measure the model it received on its own data first."""


class StrategyConfig(Frozen):
    """Settings of a named strategy; `compose()` puts the algorithm together.

    Subclasses live in `flnb.strategies` or in plug-ins and register with `strategy_registry`.
    """

    kind: ClassVar[str] = ""
    local: Local = Local()
    """What each client does in a round."""

    def compose(self) -> Any:
        """Put the algorithm together: a `flnb.strategies.Strategy`."""
        raise NotImplementedError(f"{type(self).__name__} does not say how it is composed")


strategy_registry: Registry[type[StrategyConfig]] = Registry(
    "strategy", "flnb.strategies", "flnb.strategies"
)


def _read_strategy(value: Any) -> Any:
    if isinstance(value, str):
        value = {"kind": value}
    if isinstance(value, dict):
        settings = {str(key): setting for key, setting in value.items()}
        kind = settings.pop("kind", "fedavg")
        return strategy_registry.find(str(kind))(**settings)
    return value


def _write_strategy(value: StrategyConfig) -> dict[str, Any]:
    return {"kind": value.kind, **value.model_dump(mode="json")}


def plain(part: Any) -> Any:
    """A part of a plan as YAML and JSON can say it, so that a plan reads it again.

    Raises:
        PlanError: It is no part of a plan.
    """
    match part:
        case StrategyConfig():
            return _write_strategy(part)
        case Frozen():
            return part.model_dump(mode="json")
        case set() | frozenset():
            return sorted(part, key=str)
    raise PlanError(f"a plan has no settings like {part!r}")


class SummarisesItself(Protocol):
    """What a plan check needs of a task."""

    def summary(self) -> TaskSummary:
        """Sizes and warnings."""
        ...


class Plan(Frozen):
    """How the rounds of a run go.

    Examples:
        >>> plan = Plan(rounds=20, invite=10, seed=7)
        >>> plan.need
        5
        >>> Plan.from_yaml(plan.to_yaml()) == plan
        True
    """

    strategy: Annotated[
        StrategyConfig, BeforeValidator(_read_strategy), PlainSerializer(_write_strategy)
    ] = Field(default="fedavg")  # type: ignore[assignment]  # read by the validator
    """The algorithm with its settings; in YAML a name or a mapping with `kind`."""
    rounds: PositiveInt = 100
    """How many rounds the run has."""
    sampling: Literal["fixed", "poisson", "all"] = "fixed"
    """How a cohort is drawn: a fixed number without replacement, each client on its own with
    probability invite/population, or everybody."""
    invite: PositiveInt | None = 10
    """Clients invited a round (the expected number under `poisson`, None under `all`)."""
    need: PositiveInt | None = None
    """Usable updates without which a round does not close; by default half of those invited, as a
    number here unless `sampling` is `all`, where `quorum_of` tells it once the clients are known."""
    deadline_s: PositiveFloat | None = None
    """Seconds after which a round closes without those still missing; None waits for all.
    Simulated clients are timed by their simulated latency, remote ones by the clock."""
    close: Literal["all", "quorum"] = "all"
    """Close when everybody answered (or the deadline passed), or as soon as `need` updates are
    in, which makes `invite` > `need` an over-selection (Bonawitz et al. 2019, §3.2)."""
    seed: int = Field(default=0, ge=-(2**63), lt=2**63)
    """Public root of all randomness of the run."""
    evaluation: Evaluation = Evaluation()
    """When the global model is measured, and on what."""
    commit_every: PositiveInt | Literal["auto"] = "auto"
    """Write the model to history every so many rounds; `auto` writes as often as costs at most
    2 % of the time, and always at pause, stop and end."""
    exclude: tuple[ClientId, ...] = ()
    """Clients that are never invited, whoever is here."""
    keep_updates: PositiveInt | None = None
    """Keep the single updates of the last so many rounds, encrypted, so that `run.replay` can leave
    clients out; None keeps none. Costs disk: a copy of the model for each update. An update tells of
    its client's data: there is no clipping and no noise yet that would bound how much."""
    guards: tuple[Guard, ...] = ()
    """Conditions that are looked at after each round, and what is done when one holds."""

    @model_validator(mode="before")
    @classmethod
    def _everybody(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        # `need: null` says nothing, and counts as not given.
        given = {key: item for key, item in data.items() if key != "need" or item is not None}
        return {"invite": None, **given} if data.get("sampling") == "all" else given

    @field_validator("exclude")
    @classmethod
    def _in_order(cls, exclude: tuple[ClientId, ...]) -> tuple[ClientId, ...]:
        return tuple(sorted(set(exclude)))  # equal plans have equal digests

    @field_validator("need")
    @classmethod
    def _half(cls, need: int | None, info: ValidationInfo) -> int | None:
        invite = info.data.get("invite")
        return math.ceil(invite / 2) if need is None and invite else need

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.invite is None) != (self.sampling == "all"):
            raise ValueError("invite is a number for fixed and poisson sampling, absent for all")
        if self.sampling == "fixed" and (self.need or 0) > (self.invite or 0):
            raise ValueError(f"need={self.need} is more than invite={self.invite}: no round closes")
        return self

    def quorum_of(self, population: int) -> int:
        """Say how many usable updates a round needs.

        Args:
            population: How many clients there are; counts only where all of them are invited.

        Returns:
            `need`; where it is left open under `sampling="all"`, half of the population.
        """
        return self.need or max(1, math.ceil(population / 2))

    @property
    def hash(self) -> str:
        """A short digest of everything in the plan; equal plans have equal digests.

        A `need` that follows from `invite` counts like the same number written down.
        """
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:16]

    def check(self, task: SummarisesItself) -> PlanCheck:
        """Say what this plan means for a task: sizes, bytes a round, what looks wrong."""
        from flnb.core.check import check_plan  # check.py imports this module

        return check_plan(self, task.summary())

    def to_yaml(self) -> str:
        """Write the plan so that `from_yaml` reads the same plan.

        A `need` that nobody gave is left out, so that it follows `invite` after reading as before.
        """
        settings = self.model_dump(mode="json", exclude={"need"} - self.model_fields_set)
        return yaml.safe_dump(settings, sort_keys=False, allow_unicode=True)

    @classmethod
    def from_yaml(cls, source: str | Path) -> Plan:
        """Read a plan from YAML text or from a file.

        Raises:
            PlanError: Not YAML, an unknown key (with its nearest neighbour), or a bad value.
        """
        text = source.read_text(encoding="utf-8") if isinstance(source, Path) else source
        try:
            data = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise PlanError(f"not YAML: {error}") from error
        if not isinstance(data, dict):
            raise PlanError(f"a plan is a mapping of settings, got {type(data).__name__}")
        return cls(**{str(key): value for key, value in data.items()})

    @classmethod
    def from_stored(cls, text: str) -> Plan:
        """Read the plan of a run again, as its row holds it, also one of before.

        Bounds could be infinite once, and count as none: their digest was the same.

        Raises:
            PlanError: It is no plan of this flnb.
        """
        try:
            return cls.from_yaml(text)
        except PlanError:
            if ".inf" not in text:
                raise
            return cls.from_yaml(yaml.safe_dump(_bounded(yaml.safe_load(text)), sort_keys=False))


def _bounded(setting: Any) -> Any:
    match setting:
        case dict():
            return {key: _bounded(value) for key, value in setting.items()}
        case list():
            return [_bounded(value) for value in setting]
        case float() if math.isinf(setting):
            return None
    return setting
