"""Yogi at the server.

Reddi et al. "Adaptive Federated Optimization", ICLR 2021, Algorithm 2, the line of FedYogi.
https://arxiv.org/abs/2003.00295

v ← v − (1 − β₂)·Δ²·sign(v − Δ²), in the frame of `adaptive.py`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from flnb.strategies.server.adaptive import Adaptive
from flnb.strategies.server.step import Block


@dataclass(frozen=True, slots=True, kw_only=True)
class Yogi(Adaptive):
    """Like Adam, but the second moment moves by at most (1 − β₂)·Δ² a round, so it forgets slowly."""

    lr: float = 0.01
    beta1: float = 0.9
    beta2: float = 0.99
    """Decay of the second moment."""
    tau: float = 1e-3

    def second_moment(self, old: Block, square: Block, new: Block) -> None:
        """See `Adaptive`."""
        np.subtract(old, square, out=new)
        np.sign(new, out=new)
        square *= 1.0 - self.beta2
        new *= square
        np.subtract(old, new, out=new)
