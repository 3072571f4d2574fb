"""Objects to bytes and back, for processes of our own only.

A class defined in a notebook cell reaches a worker no other way than by cloudpickle. This is the
one module that imports it; its bytes go through private socket pairs and anonymous memory, never
to a disk, a network or another user. Large arrays stay out of the bytes (pickle protocol 5), and
a `SharedBlock` travels as its descriptor.
"""

from __future__ import annotations

import io
import pickle  # private pipes to our own processes only, see above
from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

import cloudpickle

from flnb.processes.block import SharedBlock

Buffer: TypeAlias = bytes | bytearray | memoryview


class Pickled(NamedTuple):
    """An object taken apart."""

    body: memoryview
    buffers: list[memoryview]
    """Contents of its arrays, not copied."""
    blocks: list[SharedBlock]
    """Shared blocks in it, whose descriptors must be handed on."""


class _Pickler(cloudpickle.Pickler):
    def __init__(self, body: io.BytesIO, buffers: list[memoryview]) -> None:
        super().__init__(  # type: ignore[no-untyped-call]  # cloudpickle has no types
            body, protocol=5, buffer_callback=lambda buffer: buffers.append(buffer.raw())
        )
        self.blocks: list[SharedBlock] = []

    def persistent_id(self, item: Any) -> tuple[int, int] | None:
        if type(item) is not SharedBlock:
            return None
        self.blocks.append(item)
        return len(self.blocks) - 1, item.n_bytes


class _Unpickler(pickle.Unpickler):
    def __init__(self, body: Buffer, buffers: Sequence[Buffer], fds: Sequence[int]) -> None:
        super().__init__(io.BytesIO(body), buffers=buffers)
        self._fds = fds

    def persistent_load(self, token: tuple[int, int]) -> SharedBlock:
        index, n_bytes = token
        return SharedBlock.attach(self._fds[index], n_bytes)


def dump(item: Any) -> Pickled:
    """Take an object apart without copying its arrays.

    Raises:
        TypeError: Something in it cannot be sent, such as an open file.
    """
    body, buffers = io.BytesIO(), list[memoryview]()
    pickler = _Pickler(body, buffers)
    try:
        pickler.dump(item)  # type: ignore[no-untyped-call]  # cloudpickle has no types
    except (pickle.PicklingError, AttributeError, BufferError) as error:
        raise TypeError(f"cannot be sent to another process: {error}") from error
    return Pickled(body.getbuffer(), buffers, pickler.blocks)


def load(body: Buffer, buffers: Sequence[Buffer], fds: Sequence[int] = ()) -> Any:
    """Put an object together again; its arrays live in `buffers`, and `fds` become its own."""
    return _Unpickler(body, buffers, fds).load()
