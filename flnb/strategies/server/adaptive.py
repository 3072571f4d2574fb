"""What Adagrad, Adam and Yogi share: two moments, and a step that the second one scales.

Reddi, Charles, Zaheer, Garrett, Rush, Konečný, Kumar, McMahan. "Adaptive Federated Optimization",
ICLR 2021, Algorithm 2. https://arxiv.org/abs/2003.00295

    m ← β₁·m + (1 − β₁)·Δ
    v ← what the three differ in
    x ← x + η·m / (√v + τ)

with m = 0 and v = τ² before the first round, and no bias correction, as in the paper.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from flnb.strategies.server.step import Block, moved, parameter_vector, scratch
from flnb.tensors import Layout, Model, Update


@dataclass(frozen=True, slots=True, eq=False)
class AdaptiveState:
    """What the server remembers from round to round."""

    m: Float32[np.ndarray, " parameters"]
    """First moment: a moving mean of updates."""
    v: Float32[np.ndarray, " parameters"]
    """Second moment: how large squared updates have been."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Adaptive:
    """The frame of the three; each writes its own second moment."""

    lr: float
    """Server learning rate η."""
    beta1: float
    """Decay of the first moment."""
    tau: float
    """Adaptivity τ: large values come near plain momentum."""

    def second_moment(self, old: Block, square: Block, new: Block) -> None:
        """Write the new second moment.

        Args:
            old: The one before.
            square: Δ²; may be overwritten.
            new: Takes the new one.
        """
        raise NotImplementedError

    def init(self, layout: Layout) -> AdaptiveState:
        """State before the first round: m = 0, v = τ²."""
        return AdaptiveState(parameter_vector(layout), parameter_vector(layout, self.tau**2))

    def apply(
        self, state: AdaptiveState, model: Model, update: Update
    ) -> tuple[AdaptiveState, Model]:
        """Make the next version and moments: one step of Algorithm 2.

        Raises:
            IntegrityError: The update is of another layout, or the step overflows float32.
        """
        m, v = parameter_vector(model.layout), parameter_vector(model.layout)
        spare = scratch()

        def step(span: slice, delta: Block, out: Block) -> None:
            new_m, new_v, work = m[span], v[span], spare[: out.size]
            np.multiply(state.m[span], self.beta1, out=new_m)
            np.multiply(delta, 1.0 - self.beta1, out=work)
            new_m += work
            np.square(delta, out=work)
            self.second_moment(state.v[span], work, new_v)
            np.sqrt(new_v, out=work)
            work += self.tau
            np.multiply(new_m, self.lr, out=out)
            out /= work

        return AdaptiveState(m, v), moved(model, update, step)
