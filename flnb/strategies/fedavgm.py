"""Federated averaging with momentum at the server.

Hsu, Qi, Brown. "Measuring the Effects of Non-Identical Data Distribution for Federated Visual
Classification", 2019, section 4.3. https://arxiv.org/abs/1909.06335

Differs from the paper: the step has a learning rate, `server_lr`; 1 is the update as the paper
writes it. Momentum is the plain heavy ball of that formula, without a Nesterov look-ahead.
"""

from __future__ import annotations

from typing import ClassVar

from pydantic import PositiveFloat

from flnb.core.plan import Fraction, strategy_registry
from flnb.strategies.composition import Averaging, Strategy
from flnb.strategies.server import Momentum


@strategy_registry.register("fedavgm")
class FedAvgM(Averaging):
    """FedAvg whose server gathers speed over rounds."""

    kind: ClassVar[str] = "fedavgm"
    server_lr: PositiveFloat = 1.0
    """Step size η of the server. The long-run step is η/(1 − momentum) mean updates."""
    momentum: Fraction = 0.9
    """Share β of the last round's velocity that is kept; 0 is FedAvg."""

    def compose(self) -> Strategy:
        """Put the algorithm together."""
        return self.around(Momentum(self.server_lr, self.momentum))
