"""Federated training with Yogi at the server.

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
from flnb.strategies.server import Yogi


@strategy_registry.register("fedyogi")
class FedYogi(Averaging):
    """Like FedAdam with a second moment that changes slowly and forgets little."""

    kind: ClassVar[str] = "fedyogi"
    server_lr: PositiveFloat = 0.01
    """Step size η of the server."""
    beta1: Fraction = 0.9
    """Decay of the first moment; 0 uses this round's mean update alone."""
    beta2: Fraction = 0.99
    """Decay of the second moment."""
    tau: Adaptivity = 1e-3
    """Adaptivity τ, in units of an update: steps of parameters that move less are not blown up."""

    def compose(self) -> Strategy:
        """Put the algorithm together."""
        server = Yogi(lr=self.server_lr, beta1=self.beta1, beta2=self.beta2, tau=self.tau)
        return self.around(server)
