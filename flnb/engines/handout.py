"""Who does what next: items dealt out in batches, until nothing is left."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
from jaxtyping import Int64

_BATCHES = 16
"""Batches a worker gets at most, if all items are alike; more would cost only messages."""


class Handout:
    """Deals items to a number of workers so that they end at about the same time.

    The largest items go first. Each batch is half of a worker's fair share of what is left, so
    batches become small towards the end, and a thousand quick clients still cost few messages. A
    single worker gets everything at once.

    Args:
        items: What is dealt.
        weights: How long each takes, in any unit, above zero.
        n_workers: How many share the items.
        alone: Items that get a batch of their own, for a worker died over them.

    Examples:
        >>> handout = Handout([0, 1, 2, 3], np.array([1, 1, 4, 2]), n_workers=2)
        >>> handout.take(), handout.take(), handout.take(), handout.take()
        ((2,), (3,), (0,), (1,))
    """

    def __init__(
        self,
        items: Sequence[int],
        weights: Int64[np.ndarray, " n"],
        n_workers: int,
        alone: Collection[int] = (),
    ) -> None:
        order = np.argsort(-weights, kind="stable").tolist()
        self._items = [(items[index], int(weights[index])) for index in order]
        self._next = 0
        self._weight_left = int(weights.sum())
        self._n_workers = n_workers
        self._fewest = len(items) // (_BATCHES * n_workers)
        self._alone = alone

    def __bool__(self) -> bool:
        """Whether something is left."""
        return self._next < len(self._items)

    def take(self) -> tuple[int, ...]:
        """The next batch; empty when nothing is left."""
        share = self._weight_left / self._n_workers
        if self._n_workers > 1:
            share /= 2
        batch: list[int] = []
        weight = 0
        while self and (weight < share or len(batch) < self._fewest):
            item, item_weight = self._items[self._next]
            if batch and item in self._alone:
                break
            batch.append(item)
            weight += item_weight
            self._next += 1
            if item in self._alone:
                break
        self._weight_left -= weight
        return tuple(batch)
