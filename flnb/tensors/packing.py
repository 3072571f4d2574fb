"""Optimiser state as one run of bytes, so that a commit can hold it as one flat array.

    8 bytes    length of the description, little-endian
    …          description: JSON, name and type of every field, padded with spaces
    per field  its bytes, little-endian, each field starting on 64 bytes

A description of what is inside makes a state of another optimiser or another model an error with
a name, and never a silently shifted vector.
"""

from __future__ import annotations

import json
import sys
from dataclasses import fields
from typing import Any, TypeVar

import numpy as np
from jaxtyping import UInt8

from flnb.core.errors import StoreError
from flnb.tensors.arrays import ALIGNMENT_BYTES, aligned, frozen

State = TypeVar("State")

_LENGTH_BYTES = 8
assert sys.byteorder == "little"  # arrays are stored as they lie in memory


def pack(state: Any) -> UInt8[np.ndarray, " n"]:
    """Write a state as one flat, aligned array of bytes.

    Args:
        state: A dataclass whose fields are float32 or int64 arrays, ints, floats or bools.

    Raises:
        TypeError: A field is of another type.
    """
    head = _head(_describe(state))
    parts = [_bytes(getattr(state, field.name)) for field in fields(state)]
    packed = aligned(len(head) + sum(_padded(part.size) for part in parts), np.uint8)
    packed[: len(head)] = np.frombuffer(head, np.uint8)
    start = len(head)
    for part in parts:
        packed[start : start + part.size] = part
        start += _padded(part.size)
    return packed


def unpack(template: State, packed: UInt8[np.ndarray, " n"]) -> State:
    """Read a state that `pack` wrote.

    Args:
        template: A state of the same class and shapes, such as the one before the first round.
        packed: Bytes; the arrays of the result are read-only windows into them (or into an
            aligned copy).

    Returns:
        A state of the template's class.

    Raises:
        StoreError: The bytes are torn, or hold a state of another class, shape or dtype.
    """
    packed = frozen(np.ascontiguousarray(packed, np.uint8))
    expected = _describe(template)
    found = _read_description(packed)
    if found != expected:
        raise StoreError(
            _difference(found, expected), hint="the state was written by another strategy or model"
        )
    start = len(_head(expected))
    values: dict[str, Any] = {}
    for field in fields(template):  # type: ignore[arg-type]  # a dataclass: _describe refuses the rest
        like = getattr(template, field.name)
        size = _bytes(like).size
        part = packed[start : start + size]
        if part.size != size:
            raise StoreError(f"a packed state ends within {field.name!r} at byte {packed.size}")
        if isinstance(like, np.ndarray):
            values[field.name] = part.view(like.dtype).reshape(like.shape)
        else:
            values[field.name] = type(like)(part.view(_number_dtype(like))[0])
        start += _padded(size)
    return type(template)(**values)


def _describe(state: Any) -> list[list[Any]]:
    return [[type(state).__name__]] + [
        [field.name, *_type(field.name, getattr(state, field.name))] for field in fields(state)
    ]


def _type(name: str, value: Any) -> list[Any]:
    if isinstance(value, np.ndarray) and value.dtype in (np.float32, np.int64):
        return [value.dtype.name, list(value.shape)]
    if isinstance(value, int | float):
        return [type(value).__name__]
    kind = getattr(value, "dtype", type(value).__name__)
    raise TypeError(f"state field {name!r} is {kind}; packed are float32, int64 and numbers")


def _number_dtype(value: int | float) -> type[np.float64 | np.int64]:
    return np.float64 if isinstance(value, float) else np.int64


def _bytes(value: Any) -> UInt8[np.ndarray, " n"]:
    array = value if isinstance(value, np.ndarray) else np.array([value], _number_dtype(value))
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8)


def _head(description: list[list[Any]]) -> bytes:
    text = json.dumps(description, separators=(",", ":")).encode()
    size = _padded(_LENGTH_BYTES + len(text))
    return len(text).to_bytes(_LENGTH_BYTES, "little") + text.ljust(size - _LENGTH_BYTES)


def _read_description(packed: UInt8[np.ndarray, " n"]) -> Any:
    length = int.from_bytes(packed[:_LENGTH_BYTES].tobytes(), "little")
    try:
        return json.loads(packed[_LENGTH_BYTES : _LENGTH_BYTES + length].tobytes())
    except ValueError as error:
        raise StoreError(f"{packed.size} bytes are not a packed state") from error


def _difference(found: Any, expected: list[list[Any]]) -> str:
    if not isinstance(found, list) or len(found) != len(expected):
        return f"a packed state holds {found}, expected {expected}"
    pairs = ((one, other) for one, other in zip(found, expected, strict=True) if one != other)
    one, other = next(pairs)
    return f"a packed state holds {one}, expected {other}"


def _padded(n_bytes: int) -> int:
    return -(-n_bytes // ALIGNMENT_BYTES) * ALIGNMENT_BYTES
