"""Gradient descent at the server: the mean update times a learning rate.

McMahan et al. "Communication-Efficient Learning of Deep Networks from Decentralized Data",
AISTATS 2017, Algorithm 1 (server_lr = 1); Reddi et al. "Adaptive Federated Optimization", ICLR
2021, Algorithm 1 with SGD as ServerOpt (any server_lr).

With server_lr η:  x ← x + η·Δ
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from flnb.strategies.server.step import Block, moved
from flnb.tensors import Layout, Model, Update


@dataclass(frozen=True, slots=True)
class SGDState:
    """Nothing: plain gradient descent has no memory."""


@dataclass(frozen=True, slots=True)
class SGD:
    """Moves the model by `lr` times the mean update."""

    lr: float = 1.0

    def init(self, layout: Layout) -> SGDState:
        """State before the first round."""
        return SGDState()

    def apply(self, state: SGDState, model: Model, update: Update) -> tuple[SGDState, Model]:
        """Make the next version.

        Raises:
            IntegrityError: The update is of another layout, or the step overflows float32.
        """

        def step(span: slice, delta: Block, out: Block) -> None:
            np.multiply(delta, self.lr, out=out)

        return state, moved(model, update, step)
