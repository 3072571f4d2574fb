"""A column of small numbers that shares structure between versions.

The machine's state is immutable. Copying a whole column for every answer would make a round of
100,000 clients quadratic; here the column is cut into blocks, and a change copies the blocks it
touches and a short tuple of references.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from jaxtyping import Int64, UInt8

BLOCK = 4096
"""Entries a block: large enough to make the tuple short, small enough to copy in a blink."""


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """An immutable column of `length` bytes.

    Examples:
        >>> old = Column.filled(10_000, 0)
        >>> new = old.set(np.array([1, 8192]), 7)
        >>> old.at(np.array([1])), new.at(np.array([1, 8192]))
        (array([0], dtype=uint8), array([7, 7], dtype=uint8))
    """

    length: int
    blocks: tuple[UInt8[np.ndarray, " block"], ...]

    @classmethod
    def filled(cls, length: int, value: int) -> Self:
        """A column with the same value everywhere."""
        full = np.full(BLOCK, value, dtype=np.uint8)
        full.flags.writeable = False
        return cls(length, (full,) * (-(-length // BLOCK)))

    def at(self, rows: Int64[np.ndarray, " n"]) -> UInt8[np.ndarray, " n"]:
        """Values at some rows."""
        if not len(rows):
            return np.empty(0, dtype=np.uint8)
        touched, places = _places(rows)
        values: UInt8[np.ndarray, " n"] = self._gathered(touched)[places]
        return values

    def all(self) -> UInt8[np.ndarray, " n"]:
        """The whole column, as one fresh array."""
        if not self.blocks:
            return np.empty(0, dtype=np.uint8)
        return np.concatenate(self.blocks)[: self.length]

    def where(self, value: int) -> Int64[np.ndarray, " n"]:
        """Rows that hold a value, ascending."""
        return np.flatnonzero(self.all() == value).astype(np.int64)

    def set(self, rows: Int64[np.ndarray, " n"], values: UInt8[np.ndarray, " n"] | int) -> Column:
        """A column that differs at some distinct rows."""
        if not len(rows):
            return self
        touched, places = _places(rows)
        changed = self._gathered(touched)
        changed[places] = values
        changed.flags.writeable = False
        blocks = list(self.blocks)
        for block, copy in zip(touched, changed.reshape(-1, BLOCK), strict=True):
            blocks[block] = copy
        return Column(self.length, tuple(blocks))

    def _gathered(self, touched: list[int]) -> UInt8[np.ndarray, " m"]:
        """Some blocks end to end, as one fresh array."""
        return np.concatenate([self.blocks[block] for block in touched])


def _places(rows: Int64[np.ndarray, " n"]) -> tuple[list[int], Int64[np.ndarray, " n"]]:
    """The blocks that rows lie in, ascending, and where the rows are once those are gathered."""
    if len(rows) == 1:
        block, offset = divmod(int(rows[0]), BLOCK)
        return [block], np.array([offset])
    touched, which = np.unique(rows // BLOCK, return_inverse=True)
    return touched.tolist(), which * BLOCK + rows % BLOCK
