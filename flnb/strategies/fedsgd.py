"""Federated gradient descent: one gradient step a round, on all data of each client.

McMahan, Moore, Ramage, Hampson, Agüera y Arcas. "Communication-Efficient Learning of Deep
Networks from Decentralized Data", AISTATS 2017, section 2 (FedAvg with E = 1 and B = ∞).
https://arxiv.org/abs/1602.05629

A client of ours reports a difference, not a gradient. One full-batch step with step size `a`
moves it by Δₖ = −a·gₖ, so its gradient is gₖ = −Δₖ/a, and the paper's server step is

    w ← w − η·Σ (nₖ/n)·gₖ = w + (η/a)·Σ (nₖ/n)·Δₖ

which is gradient descent at the server with step size η/a. By default a = 1: the difference
(w − a·g) − w is rounded to the precision of w, and a small `a` would make that error larger
relative to the gradient.

Differs from the paper: nothing but this rounding. A weight decay or a gradient clip in `local`
becomes part of gₖ.
"""

from __future__ import annotations

from typing import ClassVar, Self

from pydantic import PositiveFloat, model_validator

from flnb.core.plan import Local, strategy_registry
from flnb.strategies.composition import Averaging, Strategy
from flnb.strategies.server import SGD


@strategy_registry.register("fedsgd")
class FedSGD(Averaging):
    """Clients send one full-batch gradient, the server takes the step."""

    kind: ClassVar[str] = "fedsgd"
    local: Local = Local(epochs=None, steps=1, batch_size=None, lr=1.0)
    """One step on all data; its `lr` is only the unit in which the gradient travels."""
    lr: PositiveFloat = 0.1
    """Step size η of the server."""

    @model_validator(mode="after")
    def _one_full_batch_step(self) -> Self:
        local = self.local
        if (local.epochs or local.steps) != 1 or local.batch_size is not None:
            raise ValueError(
                "FedSGD is one step on all data: local needs steps=1, epochs=None, batch_size=None"
            )
        return self

    def compose(self) -> Strategy:
        """Put the algorithm together."""
        return self.around(SGD(self.lr / self.local.lr))
