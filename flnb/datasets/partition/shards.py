"""Pathological label skew: sort by label, cut into shards, give each client a few.

McMahan, Moore, Ramage, Hampson, Agüera y Arcas. "Communication-Efficient Learning of Deep
Networks from Decentralized Data", AISTATS 2017, §3 ("Non-IID": 200 shards of 300 digits, two for
each of 100 clients). https://arxiv.org/abs/1602.05629
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from jaxtyping import Int64, Shaped
from pydantic import PositiveInt

from flnb.core.errors import DataError
from flnb.datasets.partition.partitioner import SimulatedClients, partitioner_registry


@partitioner_registry.register("shards")
class Shards(SimulatedClients):
    """Sort by label and deal out equal shards; a client sees about `per_client` classes.

    A shard may straddle two classes, so a client can see one class more for each such shard.
    Works for targets that are numbers too: clients then hold ranges. Shard sizes differ by one
    at most when the examples do not divide evenly; all are used.

    Examples:
        >>> Shards(clients=3, per_client=2).split([0] * 20 + [1] * 20 + [2] * 20).label_counts
        array([[ 0, 10, 10],
               [10,  0, 10],
               [10, 10,  0]])
    """

    kind: ClassVar[str] = "shards"
    per_client: PositiveInt = 2
    """Shards each client gets."""

    def owners(self, y: Shaped[np.ndarray, "..."]) -> Int64[np.ndarray, " examples"]:
        """Sort, cut and deal.

        Raises:
            DataError: There are fewer examples than shards, or more than one target an example.
        """
        shards = self.clients * self.per_client
        if y.ndim != 1 or shards > len(y):
            raise DataError(
                f"{self.clients:,} clients × {self.per_client} shards need {shards:,} examples "
                f"with one label each, y has shape {y.shape}",
                hint="lower clients or per_client",
            )
        # Sorting is stable: within a label the file's order decides what shares a shard, as in
        # the paper, where only the shards are drawn.
        by_label = np.argsort(y, kind="stable")
        shard = np.arange(len(y)) * shards // len(y)
        dealt = self.random().permutation(np.arange(shards, dtype=np.int64) // self.per_client)
        owner = np.empty(len(y), dtype=np.int64)
        owner[by_label] = dealt[shard]
        return owner
