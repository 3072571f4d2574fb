"""Flat arrays as chunks of a Zarr store: which to write, and how to do that quickly.

Chunks of uncompressed arrays are bytes as they lie in memory, so they are handed to the store
directly; Zarr's codec pipeline takes about twice as long for the same bytes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from flnb.tensors import aligned

Groups = Mapping[str, np.ndarray]
"""Group name to a flat array: `parameters` (float32), `integers` (int64), `optimiser` (uint8) …"""
CHUNK_BYTES = 1 << 20
_GLANCE = 64
"""Values compared before a whole chunk is: after training, chunks differ there already."""


def kept(array: np.ndarray) -> np.ndarray:
    """The array itself if it cannot change any more, a copy otherwise.

    Raises:
        ValueError: The array is not flat, or not of numbers.
    """
    if array.ndim != 1 or array.dtype.kind not in "buif":
        raise ValueError(f"history holds flat arrays of numbers, got {array.dtype}{array.shape}")
    return array.copy() if array.flags.writeable else np.ascontiguousarray(array)


def arrange(store: Any, groups: Groups, before: Groups) -> None:
    """Make the arrays of a store fit the groups; what stays is not touched.

    Args:
        store: A writable Zarr store.
        groups: What will be written.
        before: What the store is known to hold; empty if nothing is known.
    """
    import zarr

    if groups.keys() == before.keys() and all(
        _alike(groups[name], before[name]) for name in groups
    ):
        return
    root = zarr.open_group(store, mode="a")
    there = dict(root.arrays())
    for name in there.keys() - groups.keys():
        del root[name]
    for name, array in groups.items():
        if name not in there or not _alike(there[name], array):
            root.create_array(
                name,
                shape=array.shape,
                dtype=array.dtype,
                chunks=(_chunk_values(array),),
                filters=None,
                compressors=None,
                overwrite=True,
            )


def write_chunks(store: Any, groups: Groups, before: Groups) -> int:
    """Write every chunk that is not as it was before; returns how many were written.

    At least one is: Icechunk refuses a commit without changes, and a round that changed nothing
    is a round too.

    Raises:
        ValueError: The groups hold no value at all.
    """
    from zarr.core.sync import sync

    changed = [
        (f"{name}/c/{index}", piece)
        for name, array in groups.items()
        for index, piece in _changed(array, before.get(name))
    ]
    if not changed:
        filled = {name: array for name, array in groups.items() if array.size}
        if not filled:
            raise ValueError("a version holds at least one value")
        name = min(filled, key=lambda name: filled[name].size)
        index, piece = next(_changed(filled[name], None))
        changed = [(f"{name}/c/{index}", piece)]
    sync(_put(store, changed))
    return len(changed)


def read_array(array: Any) -> np.ndarray:
    """Read a Zarr array into memory that starts on 64 bytes."""
    values = aligned(array.size, array.dtype)
    if array.size:
        values[:] = array[:]
    return values


async def _put(store: Any, chunks: list[tuple[str, np.ndarray]]) -> None:
    from zarr.buffer import default_buffer_prototype

    as_buffer = default_buffer_prototype().buffer.from_array_like
    await asyncio.gather(
        *(store.set(key, as_buffer(piece.view(np.uint8))) for key, piece in chunks)
    )


def _changed(array: np.ndarray, before: np.ndarray | None) -> Iterator[tuple[int, np.ndarray]]:
    size = _chunk_values(array)
    comparable = before is not None and _alike(array, before)
    for index, start in enumerate(range(0, array.size, size)):
        piece = array[start : start + size]
        if comparable and before is not None and _same_bits(piece, before[start : start + size]):
            continue
        yield index, piece if piece.size == size else np.pad(piece, (0, size - piece.size))


def _same_bits(one: np.ndarray, other: np.ndarray) -> bool:
    # As bits: −0.0 equals 0.0 and NaN equals nothing, but a commit is exact.
    bits = f"u{one.itemsize}"
    one, other = one.view(bits), other.view(bits)
    return np.array_equal(one[:_GLANCE], other[:_GLANCE]) and np.array_equal(one, other)


def _chunk_values(array: np.ndarray) -> int:
    return max(1, min(array.size, CHUNK_BYTES // array.itemsize))


def _alike(one: Any, other: Any) -> bool:
    return bool(one.shape == other.shape and one.dtype == other.dtype)
