"""Mean of the updates, each client weighted by its number of examples.

McMahan, Moore, Ramage, Hampson, Agüera y Arcas. "Communication-Efficient Learning of Deep
Networks from Decentralized Data", AISTATS 2017, Algorithm 1. https://arxiv.org/abs/1602.05629

Differs from the paper: weights are relative to the examples of the clients whose updates were
accepted, so a round with drop-outs is still a mean.
"""

from __future__ import annotations

from dataclasses import dataclass

from flnb.tensors import CohortSum, Update


@dataclass(frozen=True, slots=True)
class WeightedMean:
    """Σ nₖ·Δₖ / Σ nₖ over the accepted clients.

    Not robust: one client that lies about its number of examples decides the result.
    """

    @property
    def weighting(self) -> str:
        """`examples`: a client counts as often as it has examples."""
        return "examples"

    def combine(self, sums: CohortSum) -> Update:
        """Turn a cohort's sum into one update.

        Raises:
            IntegrityError: Nothing was folded in.
        """
        return sums.mean()
