"""Flat arrays read back from a Zarr store: chunks into their place, several at once, looked at meanwhile.

A version of 4 GB is four thousand chunks. Whoever resumes a run waits for the disk, for one copy
and for a digest, all of which go on beside each other: nothing waits for a group of chunks to be
complete, and no chunk is in memory twice for longer than it takes to copy it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from flnb.core.errors import DamagedError
from flnb.tensors import aligned

CHUNK_NOTE = "chunk "
"""Begins the note on an error that says which chunk was being read."""
_AT_ONCE = 16
"""Chunks that are read at the same time: each is in memory once more meanwhile."""

MakeVector = Callable[[int, DTypeLike], np.ndarray]
"""Makes a flat array of so many values that starts on 64 bytes; every one will be written."""
Observe = Callable[[np.ndarray], object]
"""Is shown an array piece by piece, in order."""


def read_arrays(
    store: Any,
    arrays: Mapping[str, Any],
    observe: Observe | None = None,
    *,
    vector: MakeVector = aligned,
    limit_s: float | None = None,
) -> dict[str, np.ndarray]:
    """Read Zarr arrays into memory that starts on 64 bytes.

    Args:
        store: The Zarr store that they lie in.
        arrays: By name, as Zarr opens them.
        observe: Called with every piece in order, in a thread of its own while the next pieces are
            read: a digest costs as much time as the disk.
        vector: Makes the arrays that are read into.
        limit_s: Longest wait for a chunk.

    Raises:
        DamagedError: A chunk is missing; says which.
        TimeoutError: A chunk did not come.
    """
    from zarr.core.sync import sync

    found = {name: vector(array.size, array.dtype) for name, array in arrays.items()}
    with ThreadPoolExecutor(1, thread_name_prefix="flnb-observer") as beside:
        for name, values in found.items():
            filling = _Filling(store, name, values, arrays[name].chunks[0], limit_s)
            if observe is not None:
                filling.show = lambda piece: beside.submit(observe, piece)
            sync(filling.fill())
            for each in filling.shown:
                each.result()  # an error of the observer is the caller's
    return found


class _Filling:
    """An array that is being read."""

    def __init__(
        self, store: Any, name: str, values: np.ndarray, size: int, limit_s: float | None
    ) -> None:
        from zarr.buffer import default_buffer_prototype

        self._store, self._name, self._values, self._size = store, name, values, size
        self._limit_s, self._prototype = limit_s, default_buffer_prototype()
        self._turns = iter(range(-(-values.size // size)))
        self._ahead = set[int]()
        """Chunks that are there before one in front of them is."""
        self._there = 0
        """So many chunks from the first on are there."""
        self.show: Callable[[np.ndarray], Future[object]] | None = None
        self.shown = list[Future[object]]()

    async def fill(self) -> None:
        """Read all chunks."""
        readers = [asyncio.ensure_future(self._read()) for _ in range(_AT_ONCE)]
        try:
            await asyncio.gather(*readers)
        finally:
            for reader in readers:
                reader.cancel()  # of one that failed, the others must not go on behind its back
            await asyncio.wait(readers)

    async def _read(self) -> None:
        """Read one chunk after the other, of those that nobody reads yet."""
        for index in self._turns:
            key = f"{self._name}/c/{index}"
            try:
                async with asyncio.timeout(self._limit_s):
                    buffer = await self._store.get(key, self._prototype)
            except Exception as error:
                error.add_note(f"{CHUNK_NOTE}{index} of {self._name}")
                raise
            target = self._values[index * self._size : (index + 1) * self._size]
            if buffer is None or len(buffer) != self._size * target.itemsize:
                raise DamagedError(f"chunk {index} of {self._name} is missing or torn")
            target[:] = buffer.as_numpy_array().view(target.dtype)[: target.size]
            self._arrived(index)

    def _arrived(self, index: int) -> None:
        """Show what is there up to the first chunk that is not."""
        self._ahead.add(index)
        first = self._there
        while self._there in self._ahead:
            self._ahead.remove(self._there)
            self._there += 1
        if self.show is not None and self._there > first:
            piece = self._values[first * self._size : self._there * self._size]
            self.shown.append(self.show(piece))
