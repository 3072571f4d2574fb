"""Heavy-ball momentum at the server.

Hsu, Qi, Brown. "Measuring the Effects of Non-Identical Data Distribution for Federated Visual
Classification", 2019, section 4.3. https://arxiv.org/abs/1909.06335

With momentum β and server_lr η:  v ← β·v + Δ,  x ← x + η·v
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from flnb.strategies.server.step import Block, moved, parameter_vector
from flnb.tensors import Layout, Model, Update


@dataclass(frozen=True, slots=True, eq=False)
class MomentumState:
    """What the server remembers from round to round."""

    velocity: Float32[np.ndarray, " parameters"]
    """Sum of past updates, each round's share shrunk by β."""


@dataclass(frozen=True, slots=True)
class Momentum:
    """Moves the model by `lr` times a velocity that gathers updates."""

    lr: float = 1.0
    momentum: float = 0.9

    def init(self, layout: Layout) -> MomentumState:
        """State before the first round: at rest."""
        return MomentumState(parameter_vector(layout))

    def apply(
        self, state: MomentumState, model: Model, update: Update
    ) -> tuple[MomentumState, Model]:
        """Make the next version and velocity.

        Raises:
            IntegrityError: The update is of another layout, or the step overflows float32.
        """
        velocity = parameter_vector(model.layout)

        def step(span: slice, delta: Block, out: Block) -> None:
            new = velocity[span]
            np.multiply(state.velocity[span], self.momentum, out=new)
            new += delta
            np.multiply(new, self.lr, out=out)

        return MomentumState(velocity), moved(model, update, step)
