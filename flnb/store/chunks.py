"""Flat arrays as chunks of a Zarr store: which to write, and how to do that quickly.

Chunks of uncompressed arrays are bytes as they lie in memory, so they are handed to the store
directly; Zarr's codec pipeline takes about twice as long for the same bytes.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from flnb.core.errors import DamagedError
from flnb.tensors import aligned

Groups = Mapping[str, np.ndarray]
"""Group name to a flat array: `parameters` (float32), `integers` (int64), `optimiser` (uint8) …"""
Checksums = Mapping[str, Sequence[int]]
"""Group name to a CRC-32 of each of its chunks. It tells a chunk that was damaged, and which; whether
somebody changed a model on purpose is told by the digest in the rows."""
CHUNK_BYTES = 1 << 20
CHUNK_NOTE = "chunk "
"""Begins the note on an error that says which chunk was being read."""
_AT_ONCE = 16
"""Chunks that are read or written at the same time: each is in memory once more meanwhile."""
_PIECE = 64
"""Chunks that an observer gets together."""
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


def write_chunks(
    store: Any,
    groups: Groups,
    before: Groups,
    sums_before: Checksums | None = None,
    *,
    limit_s: float | None = None,
) -> Checksums:
    """Write every chunk that is not as it was before.

    At least one is: Icechunk refuses a commit without changes, and a round that changed nothing
    is a round too.

    Args:
        store: A writable Zarr store.
        groups: What will be in it.
        before: What is in it, as far as it is known.
        sums_before: Checksums of what is in it.
        limit_s: Longest wait for the answer about a chunk.

    Returns:
        Checksums of all chunks; they are made while the chunks are written.

    Raises:
        TimeoutError: No answer about a chunk.
        ValueError: The groups hold no value at all.
    """
    from zarr.core.sync import sync

    known = sums_before or {}
    sums = {
        name: [*known.get(name, ()), *(0 for _ in range(_n_chunks(array)))][: _n_chunks(array)]
        for name, array in groups.items()
    }
    changed = [
        (name, index, piece)
        for name, array in groups.items()
        for index, piece in _changed(array, before.get(name))
    ]
    if not changed:
        filled = {name: array for name, array in groups.items() if array.size}
        if not filled:
            raise ValueError("a version holds at least one value")
        name = min(filled, key=lambda name: filled[name].size)
        index, piece = next(_changed(filled[name], None))
        changed = [(name, index, piece)]

    def sum_up() -> None:
        for name, index, piece in changed:
            sums[name][index] = zlib.crc32(piece.view(np.uint8).data)

    with ThreadPoolExecutor(1, thread_name_prefix="flnb-checksums") as beside:
        summing = beside.submit(sum_up)
        pieces = [(f"{name}/c/{index}", piece) for name, index, piece in changed]
        sync(_put(store, pieces, limit_s))
    summing.result()
    return sums


def first_difference(groups: Groups, sums: Checksums) -> str:
    """Name the first chunk that is not what was committed, such as `chunk 3 of parameters`.

    Args:
        groups: What was read.
        sums: Checksums that were committed with it; groups without any are not looked at.

    Returns:
        "" if all is as it was.
    """
    for name, array in groups.items():
        for (index, piece), expected in zip(
            _changed(array, None), sums.get(name, ()), strict=False
        ):
            if zlib.crc32(piece.view(np.uint8).data) != expected:
                return f"chunk {index} of {name}"
    return ""


def read_arrays(
    store: Any,
    arrays: Mapping[str, Any],
    observe: Callable[[np.ndarray], object] | None = None,
    *,
    limit_s: float | None = None,
) -> dict[str, np.ndarray]:
    """Read Zarr arrays into memory that starts on 64 bytes.

    Args:
        store: The Zarr store that they lie in.
        arrays: By name, as Zarr opens them.
        observe: Called with every piece in order, in a thread of its own while the next piece is
            read: a digest costs as much time as the disk.
        limit_s: Longest wait for a chunk.

    Raises:
        DamagedError: A chunk is missing; says which.
        TimeoutError: A chunk did not come.
    """
    from zarr.core.sync import sync

    found = {name: aligned(array.size, array.dtype) for name, array in arrays.items()}
    observed = []
    with ThreadPoolExecutor(1, thread_name_prefix="flnb-observer") as beside:
        for name, values in found.items():
            size = arrays[name].chunks[0]
            for start in range(0, values.size, _PIECE * size):
                piece = values[start : start + _PIECE * size]
                sync(_get(store, name, piece, start // size, size, limit_s=limit_s))
                if observe is not None:
                    observed.append(beside.submit(observe, piece))
    for each in observed:
        each.result()  # an error of the observer is the caller's
    return found


async def _get(
    store: Any, name: str, piece: np.ndarray, first: int, size: int, *, limit_s: float | None
) -> None:
    """Read consecutive chunks of an array, several at a time."""
    from zarr.buffer import default_buffer_prototype

    prototype, turns = default_buffer_prototype(), asyncio.Semaphore(_AT_ONCE)

    async def chunk(index: int, target: np.ndarray) -> None:
        try:
            async with turns, asyncio.timeout(limit_s):
                buffer = await store.get(f"{name}/c/{first + index}", prototype)
        except Exception as error:
            error.add_note(f"{CHUNK_NOTE}{first + index} of {name}")
            raise
        if buffer is None or len(buffer) != size * piece.itemsize:
            raise DamagedError(f"chunk {first + index} of {name} is missing or torn")
        target[:] = buffer.as_numpy_array().view(target.dtype)[: target.size]

    starts = range(0, piece.size, size)
    reads = [
        asyncio.ensure_future(chunk(index, piece[start : start + size]))
        for index, start in enumerate(starts)
    ]
    try:
        await asyncio.gather(*reads)
    finally:
        for read in reads:
            read.cancel()  # of one that failed, the others must not go on behind its back
        await asyncio.wait(reads)


async def _put(store: Any, chunks: list[tuple[str, np.ndarray]], limit_s: float | None) -> None:
    from zarr.buffer import default_buffer_prototype

    as_buffer = default_buffer_prototype().buffer.from_array_like
    turns = asyncio.Semaphore(_AT_ONCE)

    async def put(key: str, piece: np.ndarray) -> None:
        async with turns, asyncio.timeout(limit_s):
            await store.set(key, as_buffer(piece.view(np.uint8)))

    await asyncio.gather(*(put(key, piece) for key, piece in chunks))


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


def _n_chunks(array: np.ndarray) -> int:
    return -(-array.size // _chunk_values(array))


def _chunk_values(array: np.ndarray) -> int:
    return max(1, min(array.size, CHUNK_BYTES // array.itemsize))


def _alike(one: Any, other: Any) -> bool:
    return bool(one.shape == other.shape and one.dtype == other.dtype)
