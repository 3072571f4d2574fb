"""Adam at the server.

Reddi et al. "Adaptive Federated Optimization", ICLR 2021, Algorithm 2, the line of FedAdam.
https://arxiv.org/abs/2003.00295

v ← β₂·v + (1 − β₂)·Δ², in the frame of `adaptive.py`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from flnb.strategies.server.adaptive import Adaptive
from flnb.strategies.server.step import Block


@dataclass(frozen=True, slots=True, kw_only=True)
class Adam(Adaptive):
    """Scales each parameter's step by a moving mean of its squared updates."""

    lr: float = 0.01
    beta1: float = 0.9
    beta2: float = 0.99
    """Decay of the second moment."""
    tau: float = 1e-3

    def second_moment(self, old: Block, square: Block, new: Block) -> None:
        """See `Adaptive`."""
        np.multiply(old, self.beta2, out=new)
        square *= 1.0 - self.beta2
        new += square
