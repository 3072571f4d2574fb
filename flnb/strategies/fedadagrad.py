"""Federated training with Adagrad at the server.

Reddi, Charles, Zaheer, Garrett, Rush, Konečný, Kumar, McMahan. "Adaptive Federated Optimization",
ICLR 2021, Algorithm 2. https://arxiv.org/abs/2003.00295

Differs from the paper: Algorithm 2 writes an equal mean over the cohort; here clients are weighted
by examples unless `weighting` is `equal`, so that strategies compare like with like. The second
moment starts at τ² exactly (the paper asks for at least τ²).
"""

from __future__ import annotations

from typing import ClassVar

from pydantic import PositiveFloat

from flnb.core.plan import Fraction, strategy_registry
from flnb.strategies.composition import Adaptivity, Averaging, Strategy
from flnb.strategies.server import Adagrad


@strategy_registry.register("fedadagrad")
class FedAdagrad(Averaging):
    """The server shrinks the step of a parameter by all it ever moved."""

    kind: ClassVar[str] = "fedadagrad"
    server_lr: PositiveFloat = 0.1
    """Step size η of the server."""
    beta1: Fraction = 0.0
    """Decay of the first moment; 0 uses this round's mean update alone."""
    tau: Adaptivity = 1e-3
    """Adaptivity τ, in units of an update: steps of parameters that move less are not blown up."""

    def compose(self) -> Strategy:
        """Put the algorithm together."""
        return self.around(Adagrad(lr=self.server_lr, beta1=self.beta1, tau=self.tau))
