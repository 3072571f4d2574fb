"""Independent and identically distributed: everybody gets a fair sample of everything.

McMahan, Moore, Ramage, Hampson, Agüera y Arcas. "Communication-Efficient Learning of Deep
Networks from Decentralized Data", AISTATS 2017, §3 ("IID"). https://arxiv.org/abs/1602.05629
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from jaxtyping import Int64, Shaped

from flnb.datasets.partition.partitioner import SimulatedClients, partitioner_registry


@partitioner_registry.register("iid")
class IID(SimulatedClients):
    """Shuffle, then deal out equal parts; sizes differ by one at most.

    Examples:
        >>> IID(clients=3).split([0, 1, 0, 1, 0, 1, 0]).sizes
        array([3, 2, 2])
    """

    kind: ClassVar[str] = "iid"

    def owners(self, y: Shaped[np.ndarray, "..."]) -> Int64[np.ndarray, " examples"]:
        """Deal the shuffled examples out in turn."""
        return self.random().permutation(np.arange(len(y), dtype=np.int64) % self.clients)
