"""Flat arrays as chunks of a Zarr store: which to write, and how to do that quickly.

Chunks of uncompressed arrays are bytes as they lie in memory, so they are handed to the store
directly; Zarr's codec pipeline takes about twice as long for the same bytes.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from blake3 import blake3

Groups = Mapping[str, np.ndarray]
"""Group name to a flat array: `parameters` (float32), `integers` (int64), `optimiser` (uint8) …"""
Checksums = Mapping[str, Sequence[str | int]]
"""Group name to what tells each of its chunks: half of its BLAKE3, in hexadecimal. By it a chunk is
not written again, and one that was damaged is known; whether somebody changed a model on purpose
is told by the digest in the rows. Early commits hold a CRC-32 instead, a number."""
CHUNK_BYTES, LARGEST_BYTES = 1 << 20, 1 << 22
"""The size of a chunk, and of one of a very large array."""
_MANY = 1024
"""No array has more chunks while they may be larger: each costs more than a millisecond of processor time
to read, besides its bytes. One that changes takes no more with it than a 512th of the array."""
_AT_ONCE_BYTES = 16 * CHUNK_BYTES
"""Of chunks that are written or read at the same time: each is in memory once more meanwhile, and over a
slow line to S3 each must come through within the longest wait for an answer."""
_SUM_BYTES = 16
"""128 bits: among all chunks that were ever written no two are alike by chance."""


class Form(NamedTuple):
    """Length and type of a flat array."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]


def flat(array: np.ndarray) -> np.ndarray:
    """The array in one piece; copied only if it is not.

    Raises:
        ValueError: The array is not flat, or not of numbers.
    """
    if array.ndim != 1 or array.dtype.kind not in "buif":
        raise ValueError(f"history holds flat arrays of numbers, got {array.dtype}{array.shape}")
    return np.ascontiguousarray(array)


def forms(groups: Groups) -> dict[str, Form]:
    """What `arrange` must know of a version once its arrays are gone."""
    return {name: Form(array.shape, array.dtype) for name, array in groups.items()}


def arrange(store: Any, groups: Groups, before: Mapping[str, Form]) -> None:
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
        if name not in there or not _as_today(there[name], array):
            root.create_array(
                name,
                shape=array.shape,
                dtype=array.dtype,
                chunks=(_chunk_values(array),),
                filters=None,
                compressors=None,
                overwrite=True,
            )


def write_chunks(
    store: Any, groups: Groups, before: Checksums, *, limit_s: float | None = None
) -> Checksums:
    """Write every chunk that is not as it was before.

    At least one is: Icechunk refuses a commit without changes, and a round that changed nothing
    is a round too.

    Args:
        store: A writable Zarr store.
        groups: What will be in it.
        before: Checksums of what is in it, as far as they are known and of arrays of this form.
        limit_s: Longest wait for the answer about a chunk.

    Returns:
        Checksums of all chunks.

    Raises:
        TimeoutError: No answer about a chunk.
        ValueError: The groups hold no value at all.
    """
    from zarr.core.sync import sync

    filled = [name for name, array in groups.items() if array.size]
    if not filled:
        raise ValueError("a version holds at least one value")
    # One thread sums up: beside it the store writes.
    with ThreadPoolExecutor(1, thread_name_prefix="flnb-checksums") as beside:
        put = partial(_put, store, beside=beside, limit_s=limit_s)
        sums = {
            name: sync(put(name, array, before.get(name, ()))) for name, array in groups.items()
        }
        if sums == before:
            least = min(filled, key=lambda name: groups[name].size)
            sync(put(least, groups[least], ()))
    return sums


def sums_digest(sums: Checksums) -> str:
    """What tells all checksums of a version together: with it in a row, a commit proves itself."""
    told = blake3()
    for name in sorted(sums):
        told.update(f"{name}:{' '.join(map(str, sums[name]))}\n".encode())
    return told.hexdigest(_SUM_BYTES)


def is_sum_of(expected: str | int, data: np.ndarray) -> bool:
    """Whether this is the checksum of the bytes of a chunk."""
    return expected == (_crc(data) if isinstance(expected, int) else _sum(data))


def at_once(chunk_bytes: int) -> int:
    """How many chunks of a size are written or read at the same time."""
    return max(1, _AT_ONCE_BYTES // max(CHUNK_BYTES, chunk_bytes))


async def _put(
    store: Any,
    name: str,
    array: np.ndarray,
    known: Sequence[str | int],
    *,
    beside: ThreadPoolExecutor,
    limit_s: float | None,
) -> list[str]:
    """Write the chunks of an array whose sums are not known; returns the checksums of all."""
    from zarr.buffer import default_buffer_prototype

    as_buffer = default_buffer_prototype().buffer.from_array_like
    turns = asyncio.Semaphore(at_once(_chunk_values(array) * array.itemsize))
    loop = asyncio.get_running_loop()

    async def put(index: int, piece: np.ndarray) -> str:
        async with turns:
            now = await loop.run_in_executor(beside, _sum, piece)
            if index >= len(known) or now != known[index]:
                async with asyncio.timeout(limit_s):
                    await store.set(f"{name}/c/{index}", as_buffer(piece.view(np.uint8)))
        return now

    return await asyncio.gather(*(put(index, piece) for index, piece in enumerate(_pieces(array))))


def _pieces(array: np.ndarray) -> Iterator[np.ndarray]:
    """Cut an array into its chunks, the last one filled up."""
    size = _chunk_values(array)
    for start in range(0, array.size, size):
        piece = array[start : start + size]
        yield piece if piece.size == size else np.pad(piece, (0, size - piece.size))


def _sum(piece: np.ndarray) -> str:
    return blake3(piece.view(np.uint8).data).hexdigest(_SUM_BYTES)


def _crc(piece: np.ndarray) -> int:
    return zlib.crc32(piece.view(np.uint8).data)


def _chunk_values(array: np.ndarray) -> int:
    n_bytes = CHUNK_BYTES
    while n_bytes < LARGEST_BYTES and array.nbytes > _MANY * n_bytes:
        n_bytes *= 2
    return max(1, min(array.size, n_bytes // array.itemsize))


def _as_today(one: Any, array: np.ndarray) -> bool:
    """Whether a Zarr array is as one for these values is made; early ones have smaller chunks."""
    return _alike(one, array) and one.chunks == (_chunk_values(array),)


def _alike(one: Any, other: Any) -> bool:
    return bool(one.shape == other.shape and one.dtype == other.dtype)
