"""Label skew by quantity: each client knows exactly so many classes.

Li, Diao, Chen, He. "Federated Learning on Non-IID Data Silos: An Experimental Study" (NIID-Bench),
ICDE 2022, "quantity-based label imbalance" (#C = k). https://arxiv.org/abs/2102.02079

The first class of each client is dealt round, so that with at least as many clients as classes
every class has an owner; the others are drawn.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from jaxtyping import Bool, Int64, Shaped
from pydantic import PositiveInt

from flnb.core.errors import DataError
from flnb.datasets.labels import apportion, deal, need_labels
from flnb.datasets.partition.partitioner import SimulatedClients, partitioner_registry


@partitioner_registry.register("label_quantity")
class LabelQuantity(SimulatedClients):
    """Give each client `labels` classes and divide each class equally among its owners.

    With fewer clients than classes a class may have no owner; its examples are left over. A
    class with fewer examples than owners leaves some owners without any of it.

    Examples:
        >>> LabelQuantity(clients=3, labels=1).split([0] * 20 + [1] * 20 + [2] * 20).label_counts
        array([[ 0,  0, 20],
               [ 0, 20,  0],
               [20,  0,  0]])
    """

    kind: ClassVar[str] = "label_quantity"
    labels: PositiveInt
    """Classes each client holds."""

    def owners(self, y: Shaped[np.ndarray, "..."]) -> Int64[np.ndarray, " examples"]:
        """Draw who owns which classes, then deal each class out.

        Raises:
            DataError: The target is not classes, or there are fewer than `labels`.
        """
        found = need_labels(y, "LabelQuantity")
        if self.labels > len(found.names):
            raise DataError(
                f"each client should hold {self.labels} labels, there are {len(found.names)}",
                hint="lower labels",
            )
        owned = self._owned(len(found.names))
        counts = apportion(owned.T.astype(np.float64), found.sizes)
        return deal(found, counts, self.seed, self.kind)

    def _owned(self, n_labels: int) -> Bool[np.ndarray, "clients labels"]:
        random = self.random(step="owned")
        lots = random.random((self.clients, n_labels))
        first = random.permutation(n_labels)[np.arange(self.clients) % n_labels]
        lots[np.arange(self.clients), first] = -1.0
        owned = np.zeros(lots.shape, dtype=np.bool_)
        drawn = np.argsort(lots, axis=1)[:, : self.labels]
        np.put_along_axis(owned, drawn, values=True, axis=1)
        return owned
