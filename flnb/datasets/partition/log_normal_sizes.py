"""Unequal sizes, equal contents: a client's share of the data is log-normal.

Zeng, Liang, Hu, Wang, Xu. "FedLab: A Flexible Federated Learning Framework", JMLR 24 (2023), and
its data partition "unbalanced IID", whose dial is likewise the sigma of a log-normal.
https://arxiv.org/abs/2107.11621
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from jaxtyping import Int64, Shaped
from pydantic import Field, NonNegativeInt

from flnb.datasets.labels import Labels, deal, sized_pools
from flnb.datasets.partition.partitioner import SimulatedClients, partitioner_registry


@partitioner_registry.register("log_normal_sizes")
class LogNormalSizes(SimulatedClients):
    """Draw each client's share of the data from a log-normal distribution; contents are IID.

    Examples:
        >>> LogNormalSizes(clients=3, sigma=1.0).split([0, 1, 2] * 20)
        <split: 3 clients · 60 examples · min/median/max 5/19/36>
    """

    kind: ClassVar[str] = "log_normal_sizes"
    sigma: float = Field(default=1.0, ge=0, le=10)
    """Spread of the logarithm of the sizes: 0 is equal, 1 gives one client in a hundred
    ten times the median, 2 gives one in eight that."""
    min_examples: NonNegativeInt = 1
    """What every client gets before shares are dealt."""

    def owners(self, y: Shaped[np.ndarray, "..."]) -> Int64[np.ndarray, " examples"]:
        """Draw sizes, then who gets which examples.

        Raises:
            DataError: There are fewer than `min_examples` for each client.
        """
        everything = Labels.one(len(y))
        weights = self.random(step="sizes").lognormal(0.0, self.sigma, (1, self.clients))
        floor = np.full((1, self.clients), self.min_examples, dtype=np.int64)
        counts = sized_pools(everything, weights, floor, owner="LogNormalSizes")
        return deal(everything, counts, self.seed, self.kind)
