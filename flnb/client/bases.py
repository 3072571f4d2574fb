"""The last version that a client received, kept so that only what changed is fetched again.

The file is nothing but the version's bytes and is never synced: what it holds is found out by
hashing it when it is opened, so half a version is worth just the chunks that are right.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from flnb.core.errors import IntegrityError
from flnb.core.failpoints import reach
from flnb.tensors import SpareFiles, aligned, mapped
from flnb.transport.manifest import CHUNK_BYTES, Manifest, chunks_in, in_a_row

Fetch = Callable[[Sequence[int]], AsyncGenerator[bytes, None]]
"""Gives the chunks at these places, in this order, one or more at a time."""


@dataclass(frozen=True, slots=True, eq=False)
class _Kept:
    manifest: Manifest
    data: UInt8[np.ndarray, " n"]


class Bases:
    """Versions as they arrive; the last one stays in a folder.

    Args:
        folder: Made when the first version comes that is larger than one chunk.
    """

    def __init__(self, folder: Path) -> None:
        self._file, self._partial = folder / "base", folder / "base.partial"
        self._kept: _Kept | None = None
        self._spares = SpareFiles(folder, most=1)
        # One thread, so that a write of a transfer that was given up is over before the next begins.
        self._hands = ThreadPoolExecutor(1, thread_name_prefix="flnb-client-base")

    async def obtain(
        self, manifest: Manifest, inline: bytes, fetch: Fetch
    ) -> UInt8[np.ndarray, " n"]:
        """Get a version: what came with the assignment, or the chunks that are not here yet.

        What has arrived when this is cancelled or fails is not asked for again.

        Args:
            manifest: The version's chunks; nothing else is accepted.
            inline: The whole of it, if it is one chunk.
            fetch: Gets the others.

        Returns:
            Its bytes, read-only and starting on 64 bytes.

        Raises:
            IntegrityError: Chunks that are not the version's, or not as many as were asked for.
        """
        if inline:
            return _inline(manifest, inline)
        if self._kept is not None and self._kept.manifest.digest == manifest.digest:
            return self._kept.data
        loop = asyncio.get_running_loop()
        missing = await loop.run_in_executor(self._hands, self._prepare, manifest)
        if missing:
            await self._fill(manifest, missing, fetch)
        self._kept = await loop.run_in_executor(self._hands, self._adopt, manifest)
        return self._kept.data

    def close(self) -> None:
        """End the thread."""
        self._hands.shutdown(wait=True)

    async def _fill(self, manifest: Manifest, missing: list[int], fetch: Fetch) -> None:
        loop, places = asyncio.get_running_loop(), iter(missing)
        writing: asyncio.Future[None] | None = None
        try:
            async with aclosing(fetch(missing)) as messages:
                async for data in messages:  # the next one comes while this one is written
                    here = list(islice(places, -(-len(data) // CHUNK_BYTES)))
                    if writing is not None:
                        await writing
                    writing = loop.run_in_executor(self._hands, self._write, manifest, here, data)
        except BaseException:
            if writing is not None:  # it goes on, for on a bad line every chunk counts
                writing.add_done_callback(_looked_at)
            raise
        if writing is not None:
            await writing
        if next(places, None) is not None:
            raise IntegrityError("the coordinator sent fewer chunks than it was asked for")

    # In the thread

    def _prepare(self, manifest: Manifest) -> list[int]:
        """Put every chunk that is here already into the new file: the places of the others."""
        if self._kept is None and self._file.exists() and self._file.stat().st_size:
            self._kept = _opened(self._file)
        missing = list(range(manifest.chunk_count))
        if self._partial.exists() and self._partial.stat().st_size == manifest.n_bytes:
            missing = manifest.differing(_opened(self._partial).manifest)
        else:
            self._partial.parent.mkdir(parents=True, exist_ok=True)
            self._partial.unlink(missing_ok=True)
            if not self._spares.take(manifest.n_bytes, self._partial):
                with self._partial.open("wb") as file:
                    file.truncate(manifest.n_bytes)
        if self._kept is None or not missing:
            return missing
        elsewhere = set(manifest.differing(self._kept.manifest))
        known = [place for place in missing if place not in elsewhere]
        with self._partial.open("r+b") as file:
            for place in known:
                span = manifest.span(place)
                file.seek(span.start)
                file.write(self._kept.data[span].data)
        return [place for place in missing if place in elsewhere]

    def _write(self, manifest: Manifest, places: list[int], data: bytes) -> None:
        """Write what one message held; of what is not the version's the place stays missing."""
        if len(data) > CHUNK_BYTES * len(places):
            raise IntegrityError("the coordinator sent more chunks than it was asked for")
        chunks = zip(places, chunks_in(data), strict=True)
        wrong = [place for place, chunk in chunks if not manifest.check(place, chunk)]
        left = memoryview(data)
        with self._partial.open("r+b") as file:  # buffered: it never writes a part and says nothing
            for some in in_a_row(places):
                span = manifest.stretch(some)
                n_bytes = span.stop - span.start
                file.seek(span.start)
                file.write(left[:n_bytes])
                left = left[n_bytes:]
        for _ in places:
            reach("client-fetching")
        if wrong:
            raise IntegrityError(f"chunk {wrong[0]} of the version was changed on its way")

    def _adopt(self, manifest: Manifest) -> _Kept:
        # Whoever still trains on the version before has its memory, and keeps it. Without a file in
        # its place, the file system has no reason to write the new one out at once.
        self._kept = None
        self._spares.put(self._file)
        self._partial.rename(self._file)
        return _Kept(manifest, mapped(self._file))


def _inline(manifest: Manifest, data: bytes) -> UInt8[np.ndarray, " n"]:
    if len(data) > CHUNK_BYTES or manifest.chunk_count != 1 or not manifest.check(0, data):
        raise IntegrityError("the version was changed on its way")
    copy: np.ndarray = aligned(len(data), np.uint8)
    copy[:] = np.frombuffer(data, np.uint8)
    copy.flags.writeable = False
    return copy


def _opened(file: Path) -> _Kept:
    data = mapped(file)
    return _Kept(Manifest.of(data.data), data)


def _looked_at(written: asyncio.Future[None]) -> None:
    """Let asyncio know that nobody need be told of the error of a transfer that was given up."""
    if not written.cancelled():
        written.exception()
