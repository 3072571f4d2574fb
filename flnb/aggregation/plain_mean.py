"""Mean of the updates, every client counting once.

Reddi, Charles, Zaheer, Garrett, Rush, Konečný, Kumar, McMahan. "Adaptive Federated Optimization",
ICLR 2021, Algorithm 1, line 9. https://arxiv.org/abs/2003.00295
"""

from __future__ import annotations

from dataclasses import dataclass

from flnb.tensors import CohortSum, Update


@dataclass(frozen=True, slots=True)
class PlainMean:
    """Σ Δₖ / K over the K accepted clients.

    Nothing that a client claims about its data changes its weight.
    """

    @property
    def weighting(self) -> str:
        """`equal`: every client counts once."""
        return "equal"

    def combine(self, sums: CohortSum) -> Update:
        """Turn a cohort's sum into one update.

        Raises:
            IntegrityError: Nothing was folded in.
        """
        return sums.mean()
