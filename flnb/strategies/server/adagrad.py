"""Adagrad at the server.

Reddi et al. "Adaptive Federated Optimization", ICLR 2021, Algorithm 2, the line of FedAdagrad.
https://arxiv.org/abs/2003.00295

v ← v + Δ², in the frame of `adaptive.py`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from flnb.strategies.server.adaptive import Adaptive
from flnb.strategies.server.step import Block


@dataclass(frozen=True, slots=True, kw_only=True)
class Adagrad(Adaptive):
    """Scales each parameter's step by all squared updates it ever had."""

    lr: float = 0.1
    beta1: float = 0.0
    tau: float = 1e-3

    def second_moment(self, old: Block, square: Block, new: Block) -> None:
        """See `Adaptive`."""
        np.add(old, square, out=new)
