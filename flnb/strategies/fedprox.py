"""Federated averaging with a pull of every client to the model it received.

Li, Sahu, Zaheer, Sanjabi, Talwalkar, Smith. "Federated Optimization in Heterogeneous Networks",
MLSys 2020, equation 2 and Algorithm 2. https://arxiv.org/abs/1812.06127

Differs from the paper: it draws clients in proportion to their data and averages them equally;
here the plan's sampler draws, and the mean is weighted by examples unless `weighting` is `equal`.
Inexactness (γ) is what `local.epochs` or `local.steps` leave open.
"""

from __future__ import annotations

from typing import ClassVar, Self

from pydantic import NonNegativeFloat, PositiveFloat, model_validator

from flnb.core.plan import strategy_registry
from flnb.strategies.composition import Averaging, Strategy
from flnb.strategies.server import SGD


@strategy_registry.register("fedprox")
class FedProx(Averaging):
    """FedAvg whose clients minimise F(w) + μ/2·‖w − w_received‖²."""

    kind: ClassVar[str] = "fedprox"
    mu: NonNegativeFloat = 0.01
    """Strength μ of the pull; 0 is FedAvg."""
    server_lr: PositiveFloat = 1.0
    """How far the server follows the mean update; 1 is the paper."""

    @model_validator(mode="after")
    def _one_mu(self) -> Self:
        if self.local.prox_mu not in {0.0, self.mu}:
            raise ValueError(
                f"mu={self.mu} and local.prox_mu={self.local.prox_mu} contradict; set mu only"
            )
        return self

    def compose(self) -> Strategy:
        """Put the algorithm together."""
        return self.around(SGD(self.server_lr), self.local.replace(prox_mu=self.mu))
