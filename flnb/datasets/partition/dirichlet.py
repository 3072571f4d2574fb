"""Label skew by a Dirichlet distribution: the usual dial between IID and one class a client.

Hsu, Qi, Brown. "Measuring the Effects of Non-Identical Data Distribution for Federated Visual
Classification", 2019, §3. https://arxiv.org/abs/1909.06335

Differs from the paper: there a Dirichlet draw is the label mix of one *client*, and clients are
of equal size. Here a draw is how one *class* is divided among the clients, as in Yurochkin et al.
("Bayesian Nonparametric Federated Learning of Neural Networks", ICML 2019, §4,
https://arxiv.org/abs/1905.12022) and NIID-Bench. Every example is then used, and sizes differ too.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from jaxtyping import Int64, Shaped
from pydantic import Field, NonNegativeInt

from flnb.core.errors import DataError
from flnb.datasets.labels import Labels, apportion, deal, need_labels
from flnb.datasets.partition.partitioner import SimulatedClients, partitioner_registry

_ATTEMPTS = 500


@partitioner_registry.register("dirichlet")
class Dirichlet(SimulatedClients):
    """Divide each class among the clients by a draw from a symmetric Dirichlet distribution.

    Small `alpha` gives each client few classes and very unequal sizes, large `alpha` nears IID.

    Examples:
        >>> split = Dirichlet(alpha=0.5, clients=4, seed=1).split([0, 1] * 50)
        >>> int(split.sizes.sum())
        100
    """

    kind: ClassVar[str] = "dirichlet"
    alpha: float = Field(gt=0, allow_inf_nan=False)
    """Concentration: 0.1 is strong skew, 100 nearly none."""
    min_examples: NonNegativeInt = 1
    """Draw again until every client has so many, at most 500 times; 0 allows empty clients."""

    def owners(self, y: Shaped[np.ndarray, "..."]) -> Int64[np.ndarray, " examples"]:
        """Draw how many examples of each class a client gets, then which ones.

        Raises:
            DataError: The target is not classes, or no draw gave every client enough.
        """
        labels = need_labels(y, "Dirichlet")
        if self.clients * self.min_examples > len(y):
            raise DataError(
                f"{self.clients:,} clients with {self.min_examples:,} examples or more need "
                f"{self.clients * self.min_examples:,}, there are {len(y):,}",
                hint="lower clients or min_examples",
            )
        return deal(labels, self._counts(labels), self.seed, self.kind)

    def _counts(self, labels: Labels) -> Int64[np.ndarray, "labels clients"]:
        best = -1
        for attempt in range(_ATTEMPTS):
            concentrations = np.full(self.clients, self.alpha)
            shares = self.random(attempt=attempt).dirichlet(concentrations, len(labels.names))
            counts = apportion(shares, labels.sizes)
            smallest = int(counts.sum(axis=0).min())
            if smallest >= self.min_examples:
                return counts
            best = max(best, smallest)
        raise DataError(
            f"Dirichlet(alpha={self.alpha:g}, clients={self.clients}): in {_ATTEMPTS} draws the "
            f"smallest client never had {self.min_examples} examples, at most {best}",
            hint="raise alpha, lower clients or min_examples; min_examples=0 allows empty clients",
        )
