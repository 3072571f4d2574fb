"""Adagrad at the server.

Reddi et al. "Adaptive Federated Optimization", ICLR 2021, Algorithm 2, the line of FedAdagrad.
https://arxiv.org/abs/2003.00295

v ← v + Δ², in the frame of `adaptive.py`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from flnb.strategies.server.adaptive import AdaptiveState, adaptive_step, initial
from flnb.strategies.server.step import Block
from flnb.tensors import Layout, Model, Update


@dataclass(frozen=True, slots=True)
class Adagrad:
    """Scales each parameter's step by all squared updates it ever had."""

    lr: float = 0.1
    beta1: float = 0.0
    tau: float = 1e-3

    def init(self, layout: Layout) -> AdaptiveState:
        """State before the first round: m = 0, v = τ²."""
        return initial(layout, self.tau)

    def apply(
        self, state: AdaptiveState, model: Model, update: Update
    ) -> tuple[AdaptiveState, Model]:
        """Make the next version and moments.

        Raises:
            IntegrityError: The update is of another layout, or the step overflows float32.
        """

        def second_moment(old: Block, square: Block, new: Block) -> None:
            np.add(old, square, out=new)

        return adaptive_step(
            state, model, update, second_moment, lr=self.lr, beta1=self.beta1, tau=self.tau
        )
