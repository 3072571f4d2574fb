"""How the tensors of a model lie in flat vectors.

Every floating tensor lies in one float32 vector, `values`: parameters first, then the floating
buffers, so that both are one slice. Integer and boolean tensors lie in one int64 vector. A slot
starts on 64 bytes, as torch's own tensors do; a tensor larger than a chunk of the history starts
on a chunk boundary, so that a tensor that did not change is a chunk that is not written again.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import zip_longest
from typing import Literal, cast

import numpy as np

from flnb.core.errors import StoreError, TaskError

Kind = Literal["parameter", "buffer"]

SLOT_VALUES = 16
"""Slots start on multiples of this many values: 64 bytes of float32."""
CHUNK_VALUES = 262_144
"""Values in a chunk of the history (1 MiB; in models over 1 GiB up to 4); larger tensors start on a multiple of it."""

_FLOATING = {"float32": 4, "float16": 2, "bfloat16": 2}
_INTEGER = {"int64": 8, "int32": 4, "int16": 2, "int8": 1, "uint8": 1, "uint16": 2, "uint32": 4}
_BYTES = {**_FLOATING, **_INTEGER, "bool": 1}


@dataclass(frozen=True, slots=True)
class Slot:
    """Where one tensor of the model lies."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    """Torch's name without `torch.`: `float32`, `bfloat16`, `int64` …"""
    kind: Kind
    offset: int
    """First place in its vector, counted in values."""

    @property
    def size(self) -> int:
        """Values in the tensor."""
        return math.prod(self.shape)

    @property
    def floating(self) -> bool:
        """Whether the tensor lies in `values`; otherwise it lies in `integers`."""
        return self.dtype in _FLOATING

    @property
    def span(self) -> slice:
        """The tensor's part of its vector."""
        return slice(self.offset, self.offset + self.size)

    def view(self, vector: np.ndarray) -> np.ndarray:
        """See the tensor, in its shape, inside its vector; nothing is copied."""
        return vector[self.span].reshape(self.shape)

    def __str__(self) -> str:
        return f"{self.dtype}[{', '.join(map(str, self.shape))}] ({self.kind})"


@dataclass(frozen=True)
class Layout:
    """How the tensors of a model lie in `values` (float32) and `integers` (int64).

    Made by `of`. Two layouts are equal if every tensor lies at the same place.

    Examples:
        >>> layout = Layout.of([("w", (10, 3), "float32", "parameter"), ("n", (), "int64", "buffer")])
        >>> layout.n_values, layout.n_integers, layout.n_parameters, layout.model_bytes
        (32, 16, 30, 128)
    """

    slots: tuple[Slot, ...]
    """Parameters first, each kind in the order in which it was given."""
    n_values: int
    """Length of `values`, padding included; padding is zero for ever."""
    n_integers: int
    """Length of `integers`, padding included."""

    @classmethod
    def of(cls, tensors: Iterable[tuple[str, tuple[int, ...], str, str]]) -> Layout:
        """Lay tensors out.

        Args:
            tensors: Name, shape, dtype (torch's name without `torch.`) and kind (`parameter` or
                `buffer`) of each, in any order.

        Raises:
            TaskError: A name comes twice, or a tensor is of a dtype that is not carried (float64,
                complex, quantised) or of no known kind.
        """
        given = list(tensors)
        _check(given)
        given.sort(key=lambda tensor: tensor[3] != "parameter")  # stable: order within a kind stays
        slots = []
        ends = {True: 0, False: 0}
        for name, shape, dtype, kind in given:
            floating, size = dtype in _FLOATING, math.prod(shape)
            start = _up(ends[floating], CHUNK_VALUES if size > CHUNK_VALUES else SLOT_VALUES)
            slots.append(Slot(name, tuple(shape), dtype, cast(Kind, kind), start))
            ends[floating] = start + size
        return cls(tuple(slots), _up(ends[True], SLOT_VALUES), _up(ends[False], SLOT_VALUES))

    @cached_property
    def parameter_span(self) -> slice:
        """The part of `values` that an optimiser moves: all parameters and the padding between."""
        ends = (s.span.stop for s in self.slots if s.floating and s.kind == "parameter")
        return slice(0, _up(max(ends, default=0), SLOT_VALUES))

    @property
    def buffer_span(self) -> slice:
        """The part of `values` that is averaged and never optimised: floating buffers."""
        return slice(self.parameter_span.stop, self.n_values)

    @cached_property
    def half_slots(self) -> tuple[Slot, ...]:
        """Tensors of float16 or bfloat16, which are rounded to their dtype after a step."""
        return tuple(slot for slot in self.slots if slot.floating and slot.dtype != "float32")

    @property
    def n_parameters(self) -> int:
        """Parameters of the model, without padding."""
        return sum(slot.size for slot in self.slots if slot.kind == "parameter")

    @property
    def n_buffer_values(self) -> int:
        """Values in buffers, without padding."""
        return sum(slot.size for slot in self.slots if slot.kind == "buffer")

    @property
    def model_bytes(self) -> int:
        """Bytes of one copy of the model on the wire, each tensor in its own dtype."""
        return sum(slot.size * _BYTES[slot.dtype] for slot in self.slots)

    @cached_property
    def hash(self) -> str:
        """Digest of the whole layout, the same on every machine."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()

    def slot(self, name: str) -> Slot:
        """Find a tensor by name.

        Raises:
            KeyError: The model has no tensor of that name.
        """
        return self._by_name[name]

    @cached_property
    def _by_name(self) -> dict[str, Slot]:
        return {slot.name: slot for slot in self.slots}

    def differs_from(self, other: Layout) -> str:
        """Say in words what is first different in `other`, measured against this layout.

        Returns:
            "" if they are equal, otherwise a sentence that names the tensor and both shapes.
        """
        if self == other:
            return ""
        for mine, theirs in zip_longest(self.slots, other.slots):
            if mine == theirs:
                continue
            if mine and theirs and mine.name == theirs.name and str(mine) != str(theirs):
                return f"tensor {mine.name!r} is {theirs}, expected {mine}"
            if mine and mine.name not in other._by_name:
                return f"tensor {mine.name!r} is missing, expected {mine}"
            if theirs and theirs.name not in self._by_name:
                return f"tensor {theirs.name!r} {theirs} is not part of the model"
            break
        return f"the {len(self.slots)} tensors come in another order or lie at other places"

    def to_json(self) -> str:
        """Write the layout as canonical JSON; `from_json` reads it back."""
        tensors = [[slot.name, list(slot.shape), slot.dtype, slot.kind] for slot in self.slots]
        sizes = {"n_values": self.n_values, "n_integers": self.n_integers}
        return json.dumps({"tensors": tensors, **sizes}, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Layout:
        """Read a layout that `to_json` wrote.

        Raises:
            StoreError: It is not a layout, or places do not come out as they were.
        """
        try:
            data = json.loads(text)
            layout = cls.of((name, tuple(shape), *rest) for name, shape, *rest in data["tensors"])
            sizes = (data["n_values"], data["n_integers"])
        except (ValueError, TypeError, KeyError, TaskError) as error:
            raise StoreError(f"not the layout of a model: {error}") from error
        if sizes != (layout.n_values, layout.n_integers):
            raise StoreError(
                f"a layout of {sizes[0]} values and {sizes[1]} integers comes out as "
                f"{layout.n_values} and {layout.n_integers}",
                hint="it was written by another version of flnb",
            )
        return layout


def _up(n: int, step: int) -> int:
    """Round up to a multiple of `step`."""
    return -(-n // step) * step


def _check(tensors: list[tuple[str, tuple[int, ...], str, str]]) -> None:
    seen: set[str] = set()
    for name, shape, dtype, kind in tensors:
        if name in seen:
            raise TaskError(f"tensor {name!r} comes twice in the model")
        if dtype not in _BYTES:
            raise TaskError(
                f"tensor {name!r} is {dtype}{list(shape)}, which flnb does not carry",
                hint=f"convert it, for example with model.float(); carried are {', '.join(_BYTES)}",
            )
        if kind not in {"parameter", "buffer"}:
            raise TaskError(f"tensor {name!r} is a {kind!r}, expected a parameter or a buffer")
        seen.add(name)
