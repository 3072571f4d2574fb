"""Where versions of the model stand for all workers to read: shared memory, written once.

There are two places, so that a new version can be measured while an older one is still being
trained from. A worker may be reading a place while it is written, but then nobody wants its
answer any more.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from flnb.engines.orders import VersionRef
from flnb.processes import SharedBlock, padded
from flnb.tensors import Layout, Model


class Shown(NamedTuple):
    """A version on the board."""

    number: int
    place: int
    block: SharedBlock


class Blackboard:
    """The writing side, for versions of one layout."""

    def __init__(self) -> None:
        self._blocks: dict[int, SharedBlock] = {}
        self._model: Model | None = None
        self._n_versions = self._place = 0

    def show(self, model: Model, *, kept: int | None = None) -> Shown:
        """Make a version readable; one that was shown last is not written again.

        Args:
            model: The version.
            kept: Place of a version that must stay.
        """
        if model is not self._model:
            self._place = 1 if kept == 0 else 0
            if self._place not in self._blocks:
                self._blocks[self._place] = SharedBlock.create(_n_bytes(model.layout))
            views = _views(self._blocks[self._place], model.layout)
            for view, values in zip(views, (model.values, model.integers), strict=True):
                view[:] = values
            self._model = model
            self._n_versions += 1
        return Shown(self._n_versions, self._place, self._blocks[self._place])

    def close(self) -> None:
        """Let go of the memory; readers keep theirs."""
        for block in self._blocks.values():
            block.close()
        self._blocks.clear()
        self._model = None


class Reader:
    """The reading side, in a worker."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._blocks: dict[int, SharedBlock] = {}
        self._models: dict[int, tuple[int, Model]] = {}

    def model(self, version: VersionRef) -> Model:
        """The version, without copying it."""
        if version.block is not None:
            self._blocks[version.place] = version.block
        number, model = self._models.get(version.place, (0, None))
        if model is None or number != version.number:
            model = Model(self._layout, *_views(self._blocks[version.place], self._layout))
            self._models[version.place] = version.number, model
        return model


def _n_bytes(layout: Layout) -> int:
    return padded(4 * layout.n_values) + 8 * layout.n_integers


def _views(block: SharedBlock, layout: Layout) -> tuple[np.ndarray, np.ndarray]:
    values = block.array(np.float32, count=layout.n_values)
    behind = padded(4 * layout.n_values)
    return values, block.array(np.int64, offset=behind, count=layout.n_integers)
