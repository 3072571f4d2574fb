"""A model as a safetensors file, piece by piece: nothing of it is held twice.

Eight bytes with the length of the head, the head (JSON: dtype, shape and place of each tensor, and
where the file comes from), then the tensors. The same model gives the same bytes on every machine,
so a file that arrives in parts can be put together and compared.
https://github.com/huggingface/safetensors#format
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

import numpy as np

from flnb.tensors import Layout, Model

_PIECE_VALUES = 262_144
"""Values that are converted at once."""
_HEAD_UNIT = 8
"""The head is padded so that tensors begin at multiples of it."""

_DTYPES: Mapping[str, tuple[str, np.dtype[Any]]] = {
    "float32": ("F32", np.dtype("<f4")),
    "float16": ("F16", np.dtype("<f2")),
    "bfloat16": ("BF16", np.dtype("<u2")),
    "int64": ("I64", np.dtype("<i8")),
    "int32": ("I32", np.dtype("<i4")),
    "int16": ("I16", np.dtype("<i2")),
    "int8": ("I8", np.dtype("i1")),
    "uint32": ("U32", np.dtype("<u4")),
    "uint16": ("U16", np.dtype("<u2")),
    "uint8": ("U8", np.dtype("u1")),
    "bool": ("BOOL", np.dtype("?")),
}
"""Torch's name to the format's name and what lies in the file; bfloat16 as its bits."""


class TensorFile:
    """The bytes of a file that is not written yet.

    Args:
        model: What it holds.
        about: Where it comes from, for whoever opens it.
    """

    def __init__(self, model: Model, about: Mapping[str, str]) -> None:
        self._model = model
        # The widest first, so that each tensor begins at a multiple of its own width.
        slots = model.layout.slots
        self._slots = sorted(slots, key=lambda slot: -_DTYPES[slot.dtype][1].itemsize)
        self._head, self.n_bytes = _head(model.layout, [slot.name for slot in self._slots], about)

    def pieces(self, after: int = 0) -> Iterator[memoryview]:
        """Its bytes in order, a few at a time.

        Args:
            after: Leave out so many bytes at the beginning.
        """
        if after < len(self._head):
            yield memoryview(self._head)[after:]
        place = len(self._head)
        for slot in self._slots:
            width = _DTYPES[slot.dtype][1].itemsize
            values = self._model.tensor(slot.name).reshape(-1)
            for first in range(0, slot.size, _PIECE_VALUES):
                piece = values[first : first + _PIECE_VALUES]
                before = after - place
                place += width * piece.size
                if before < width * piece.size:  # else whoever asks has all of it
                    yield _converted(piece, slot.dtype)[max(before, 0) :]

    @cached_property
    def sha256(self) -> str:
        """Digest of the whole file."""
        digest = hashlib.sha256()
        for piece in self.pieces():
            digest.update(piece)
        return digest.hexdigest()


def _head(layout: Layout, order: list[str], about: Mapping[str, str]) -> tuple[bytes, int]:
    """The head with its length before it, and the bytes of the whole file."""
    table: dict[str, object] = {"__metadata__": {"format": "pt", **about}}
    end = 0
    for name in order:
        slot = layout.slot(name)
        code, kind = _DTYPES[slot.dtype]
        begin, end = end, end + kind.itemsize * math.prod(slot.shape)
        table[name] = {"dtype": code, "shape": list(slot.shape), "data_offsets": [begin, end]}
    text = json.dumps(table, separators=(",", ":")).encode()
    text += b" " * (-len(text) % _HEAD_UNIT)
    head = len(text).to_bytes(8, "little") + text
    return head, len(head) + end


def _converted(values: np.ndarray, dtype: str) -> memoryview:
    """Values as they lie in the file; a version holds float32 and int64 only."""
    if dtype == "bfloat16":  # the upper half of a float32; versions are rounded to it already
        converted = (values.view(np.uint32) >> np.uint32(16)).astype("<u2")
    else:
        converted = np.ascontiguousarray(values, _DTYPES[dtype][1])
    return converted.view(np.uint8).data
