"""Sizes by a power law, each client knowing all classes or a few.

Li, Sahu, Zaheer, Sanjabi, Talwalkar, Smith. "Federated Optimization in Heterogeneous Networks"
(FedProx), MLSys 2020, §5.1 and appendix C.1: MNIST over 1,000 devices, two digits each, sizes by a
power law. https://arxiv.org/abs/1812.06127

Differs from the paper: its published generator draws the shares from a log-normal and drops what
overflows; here they are Pareto, as the text says, and every example is used.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from jaxtyping import Float64, Int64, Shaped
from pydantic import Field, NonNegativeInt, PositiveInt

from flnb.core.errors import DataError
from flnb.datasets.labels import Labels, deal, need_labels, sized_pools
from flnb.datasets.partition.partitioner import SimulatedClients, partitioner_registry


@partitioner_registry.register("power_law_sizes")
class PowerLawSizes(SimulatedClients):
    """Draw sizes from a power law; with `labels`, client `i` holds the classes i, i+1 … only.

    Each client first gets `min_examples`; the rest is shared out by Pareto weights, class by class
    when `labels` is set. A class that no client reaches is left over.

    `PowerLawSizes(clients=1000, labels=2)` on the 60,000 training digits of MNIST is the setting of
    Li et al.: with seed 0 the least, median and greatest client have 15, 30 and 4,718 examples,
    with seeds 1 to 4 19–21, 35–37 and 1,209–3,374. The mean is 60, the deviation 88 to 191; the
    paper reports 69 and 106 for its 69,035.

    Examples:
        >>> PowerLawSizes(clients=3).split([0, 1, 2] * 20)
        <split: 3 clients · 60 examples · min/median/max 17/19/24>
    """

    kind: ClassVar[str] = "power_law_sizes"
    exponent: float = Field(default=2.2, gt=1, le=20)
    """Of the density of the shares, proportional to share^-exponent; smaller is more unequal."""
    labels: PositiveInt | None = None
    """Classes each client holds; None gives everybody all of them."""
    min_examples: NonNegativeInt = 10
    """What every client gets before shares are dealt (equally from each of its classes)."""

    def owners(self, y: Shaped[np.ndarray, "..."]) -> Int64[np.ndarray, " examples"]:
        """Draw shares, then who gets which examples.

        Raises:
            DataError: The target is not classes though `labels` asks for some, there are fewer of
                them, or a class has too few examples for its owners' `min_examples`.
        """
        pools = Labels.one(len(y)) if self.labels is None else need_labels(y, "PowerLawSizes")
        held = self.labels or 1
        if held > len(pools.names):
            raise DataError(
                f"each client should hold {held} labels, there are {len(pools.names)}",
                hint="lower labels",
            )
        client = np.arange(self.clients)[:, None]
        slot = np.arange(held)[None, :]
        label = (client + slot) % len(pools.names)
        # What does not divide evenly goes to the first classes of a client.
        promised = (self.min_examples + held - 1 - slot) // held
        weights = self._weights(label, len(pools.names))
        floor = np.zeros(weights.shape, dtype=np.int64)
        floor[label, client] = promised
        counts = sized_pools(pools, weights, floor, owner="PowerLawSizes")
        return deal(pools, counts, self.seed, self.kind)

    def _weights(
        self, label: Int64[np.ndarray, "clients held"], n_labels: int
    ) -> Float64[np.ndarray, "labels clients"]:
        """Draw the share of each client in each of its classes."""
        # Inverse of the Pareto distribution function; 1 - random() is in (0, 1].
        uniform = 1.0 - self.random(step="sizes").random(label.shape)
        power = -1.0 / (self.exponent - 1.0)
        client = np.arange(self.clients)[:, None]
        weights = np.zeros((n_labels, self.clients))
        with np.errstate(over="ignore"):
            weights[label, client] = uniform**power
        if not np.isfinite(weights.sum()):
            # Near exponent 1 shares are beyond float64; measured by the greatest of their class,
            # which has the least uniform number, they are not.
            least = np.ones(weights.shape)
            least[label, client] = uniform
            weights[label, client] = (uniform / least.min(axis=1)[label]) ** power
        return weights
