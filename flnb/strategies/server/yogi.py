"""Yogi at the server.

Reddi et al. "Adaptive Federated Optimization", ICLR 2021, Algorithm 2, the line of FedYogi.
https://arxiv.org/abs/2003.00295

v ← v − (1 − β₂)·Δ²·sign(v − Δ²), in the frame of `adaptive.py`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from flnb.strategies.server.adaptive import AdaptiveState, adaptive_step, initial
from flnb.strategies.server.step import Block
from flnb.tensors import Layout, Model, Update


@dataclass(frozen=True, slots=True)
class Yogi:
    """Like Adam, but the second moment moves by at most (1 − β₂)·Δ² a round, so it forgets slowly."""

    lr: float = 0.01
    beta1: float = 0.9
    beta2: float = 0.99
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
            np.subtract(old, square, out=new)
            np.sign(new, out=new)
            square *= 1.0 - self.beta2
            new *= square
            np.subtract(old, new, out=new)

        return adaptive_step(
            state, model, update, second_moment, lr=self.lr, beta1=self.beta1, tau=self.tau
        )
