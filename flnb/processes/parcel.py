"""One object for many processes, with its arrays in memory that they share.

A task with 180 MB of images goes to eight workers as one block that all of them map read-only,
and not as eight copies.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from flnb.processes.block import SharedBlock, padded
from flnb.processes.pickling import dump, load


@dataclass(frozen=True, slots=True)
class Parcel:
    """An object packed once; send the parcel through any number of channels and open it there.

    Examples:
        >>> parcel = Parcel.wrap({"x": np.arange(3)})
        >>> parcel.open()
        {'x': array([0, 1, 2])}
    """

    body: bytes
    block: SharedBlock
    spans: tuple[tuple[int, int], ...]
    """(offset, size) in bytes of each array in the block."""

    @classmethod
    def wrap(cls, item: Any) -> Self:
        """Pack an object that holds no shared block itself.

        Raises:
            TypeError: Something in it cannot be sent, such as an open file.
        """
        body, buffers, _ = dump(item)
        spans, end = [], 0
        for buffer in buffers:
            spans.append((end, buffer.nbytes))
            end = padded(end + buffer.nbytes)
        block = SharedBlock.create(end)
        for (offset, size), buffer in zip(spans, buffers, strict=True):
            block.array(np.uint8, offset=offset, count=size)[:] = buffer
        return cls(bytes(body), block, tuple(spans))

    def open(self) -> Any:
        """Put the object together; its arrays are read-only views of the shared block."""
        views = [
            self.block.array(np.uint8, offset=offset, count=size).data.toreadonly()
            for offset, size in self.spans
        ]
        return load(self.body, views)
