"""The split that the data came with: one client for each speaker, hospital or writer.

Caldas, Duddu, Wu, Li, Konečný, McMahan, Smith, Talwalkar. "LEAF: A Benchmark for Federated
Settings", 2018. https://arxiv.org/abs/1812.01097
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike

from flnb.core.errors import DataError
from flnb.datasets.partition.partitioner import Partitioner, partitioner_registry
from flnb.datasets.split import Split


@partitioner_registry.register("natural_id")
class NaturalId(Partitioner):
    """Make one client for each distinct id, named by it, in ascending order of the ids.

    Examples:
        >>> split = NaturalId().split([0, 1, 0], ids=["mia", "leo", "mia"])
        >>> split.clients, split.indices("mia")
        (('leo', 'mia'), array([0, 2]))
    """

    kind: ClassVar[str] = "natural_id"

    def split(self, y: ArrayLike, ids: ArrayLike | None = None) -> Split:
        """Give each example to the client of its id.

        Raises:
            DataError: No ids, not one for each example, or of kinds that have no common order.
        """
        target = np.asarray(y)
        if ids is None:
            raise DataError(
                "NaturalId needs ids: who each example came from",
                hint="own(x, y, ids=…), or a partitioner that makes clients up, such as IID",
            )
        try:
            names, owner = np.unique(np.asarray(ids), return_inverse=True)
        except TypeError as error:
            raise DataError(f"the ids cannot be put in order: {error}") from error
        if not target.ndim or owner.shape != target.shape[:1]:
            raise DataError(f"y has shape {target.shape}, ids have shape {np.shape(ids)}")
        return Split.from_owners(owner, [str(name) for name in names], target)
