"""A strategy is a composition: stages, a client half, an aggregation rule, a server optimiser."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal, get_args

from pydantic import Field

from flnb.aggregation import PlainMean, WeightedMean
from flnb.core.errors import PlanError
from flnb.core.messages import ClientHalf
from flnb.core.plan import Local, StrategyConfig
from flnb.core.ports import Rule, ServerOptimiser

LOCAL_SGD = "flnb.training:local_sgd"
"""The training loop at a client; named, so that a client half can travel."""

Weighting = Literal["examples", "equal"]
Adaptivity = Annotated[float, Field(ge=1e-18, le=1e18)]
"""τ of an adaptive server: its square, with which second moments begin, is a number of float32."""


@dataclass(frozen=True, slots=True)
class Strategy:
    """A federated algorithm, put together and ready to run.

    Raises:
        PlanError: The rule weighs updates in a way that there is not.
    """

    half: ClientHalf
    """What each client runs."""
    rule: Rule
    """How the accepted updates become one."""
    server: ServerOptimiser
    """What the server does with it."""
    stages: tuple[str, ...] = ("train",)
    """Names of the steps that an assignment passes, in order."""

    def __post_init__(self) -> None:
        # Whoever adds up takes every other word for `equal`, and nobody would notice.
        if self.rule.weighting not in get_args(Weighting):
            raise PlanError(
                f"the rule {type(self.rule).__name__} weighs by {self.rule.weighting!r}, "
                f"expected {' or '.join(get_args(Weighting))}"
            )


class Averaging(StrategyConfig):
    """Settings of every strategy that averages the updates of local training."""

    weighting: Weighting = "examples"
    """Weigh clients by their number of `examples`, or all `equal`."""

    def around(self, server: ServerOptimiser, local: Local | None = None) -> Strategy:
        """Put local training and a mean around a server optimiser.

        Args:
            server: What the server does with the mean update.
            local: What clients do, if it is not just `self.local`.
        """
        rule = WeightedMean() if self.weighting == "examples" else PlainMean()
        return Strategy(ClientHalf(LOCAL_SGD, local or self.local), rule, server)
