"""Flat arrays read back from a Zarr store: chunks into their place, several at once, each one proven.

A version of 4 GB is four thousand chunks. Whoever resumes a run waits for the disk, for one copy
and for a checksum, all of which go on beside each other: nothing waits for a group of chunks to be
complete, and no chunk is in memory twice for longer than it takes to copy it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from flnb.core.errors import DamagedError
from flnb.store.chunks import CHUNK_BYTES, LARGEST_BYTES, Checksums, at_once, is_sum_of
from flnb.tensors import aligned, hand_out, keep_freed_memory

CHUNK_NOTE = "chunk "
"""Begins the note on an error that says which chunk was being read."""
_AT_HAND_BYTES = 4 * LARGEST_BYTES
"""Icechunk has a buffer made for each chunk, and glibc would give those of the largest back each time: half a
second of processor time a GB."""
_PLACING = 2
"""Threads that copy and sum up. What is copied into is fresh memory, which the kernel clears first."""

MakeVector = Callable[[int, DTypeLike], np.ndarray]
"""Makes a flat array of so many values that starts on 64 bytes; every one will be written."""


def read_arrays(
    store: Any,
    arrays: Mapping[str, Any],
    sums: Checksums,
    *,
    vector: MakeVector = aligned,
    limit_s: float | None = None,
) -> dict[str, np.ndarray]:
    """Read Zarr arrays into memory that starts on 64 bytes.

    Args:
        store: The Zarr store that they lie in.
        arrays: By name, as Zarr opens them.
        sums: What tells their chunks; those of an array without any are taken as they are.
        vector: Makes the arrays that are read into.
        limit_s: Longest wait for a chunk.

    Raises:
        DamagedError: A chunk is missing, or not what was committed; says which.
        TimeoutError: A chunk did not come.
    """
    from zarr.core.sync import sync

    found = {name: vector(array.size, array.dtype) for name, array in arrays.items()}
    if any(one.chunks[0] * one.dtype.itemsize > CHUNK_BYTES for one in arrays.values()):
        keep_freed_memory(_AT_HAND_BYTES)
    with ThreadPoolExecutor(_PLACING, thread_name_prefix="flnb-placing") as beside:
        for name, values in found.items():
            place = _Place(name, values, arrays[name].chunks[0], sums.get(name, ()))
            sync(_fill(store, place, beside, limit_s))
    return found


class _Place:
    """Where the chunks of an array go.

    Args:
        name: Of the array.
        values: The memory.
        size: Values in a chunk.
        sums: What tells the chunks, as far as that is known.
    """

    def __init__(self, name: str, values: np.ndarray, size: int, sums: Sequence[str | int]) -> None:
        self.name, self._values, self._size, self._sums = name, values, size, sums
        self.n_chunks, self.chunk_bytes = -(-values.size // size), size * values.itemsize

    def put(self, index: int, data: np.ndarray | None) -> None:
        """Copy the bytes of a chunk to where they belong; in a thread.

        Raises:
            DamagedError: There are none, too few, or others than were committed.
        """
        target = self._values[index * self._size : (index + 1) * self._size]
        if data is None or data.nbytes != self._size * target.itemsize:
            raise DamagedError(f"chunk {index} of {self.name} is missing or torn")
        if index < len(self._sums) and not is_sum_of(self._sums[index], data):
            raise DamagedError(f"chunk {index} of {self.name} is not what was committed")
        hand_out(target)
        target[:] = data.view(target.dtype)[: target.size]


async def _fill(
    store: Any, place: _Place, beside: ThreadPoolExecutor, limit_s: float | None
) -> None:
    """Read all chunks of an array: each reader one after the other, of those that nobody reads yet."""
    from zarr.buffer import default_buffer_prototype

    turns, prototype = iter(range(place.n_chunks)), default_buffer_prototype()
    loop = asyncio.get_running_loop()

    async def read() -> None:
        for index in turns:
            try:
                async with asyncio.timeout(limit_s):
                    buffer = await store.get(f"{place.name}/c/{index}", prototype)
            except Exception as error:
                error.add_note(f"{CHUNK_NOTE}{index} of {place.name}")
                raise
            data = None if buffer is None else buffer.as_numpy_array()
            await loop.run_in_executor(beside, place.put, index, data)

    readers = [asyncio.ensure_future(read()) for _ in range(at_once(place.chunk_bytes))]
    try:
        await asyncio.gather(*readers)
    finally:
        for reader in readers:
            reader.cancel()  # of one that failed, the others must not go on behind its back
        await asyncio.wait(readers)
