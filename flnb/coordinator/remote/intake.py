"""One large update on its way into the spool: chunks in any order, each checked as it comes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from flnb.core.errors import IntegrityError, StorageFullError, StoreError
from flnb.tensors import Layout, Spool, SpoolFile, Staging
from flnb.transport import Manifest

_PAUSE_S = 0.1


class Intake:
    """Takes the chunks of one update; a transfer that broke goes on where it was.

    Made by `open`. Its methods are called on the loop and do their work in threads.
    """

    def __init__(
        self,
        staging: Staging,
        manifest: Manifest,
        hands: ThreadPoolExecutor,
        complete: Callable[[SpoolFile], None],
    ) -> None:
        self.manifest = manifest
        self._staging, self._hands, self._complete = staging, hands, complete
        self._missing = set(range(manifest.chunk_count))
        self._ended = False

    @classmethod
    async def open(
        cls,
        spool: Spool,
        update_id: str,
        layout: Layout,
        note: Mapping[str, Any],
        manifest: Manifest,
        hands: ThreadPoolExecutor,
        complete: Callable[[SpoolFile], None],
    ) -> Intake:
        """Make room for an update; a full spool delays it.

        Args:
            spool: Where it is staged.
            update_id: Its name there.
            layout: What it must fit.
            note: Kept with it.
            manifest: Its chunks.
            hands: Threads that hash and write.
            complete: Called on the loop once it is whole and on the disk.

        Raises:
            StoreError: It is larger than the whole spool.
            StorageFullError: The disk is full.
        """
        staging = None
        while staging is None:
            staging = await _room(spool, update_id, layout, note, hands)
        return cls(staging, manifest, hands, complete)

    @property
    def missing(self) -> list[int]:
        """Places of the chunks that did not come yet."""
        return sorted(self._missing)

    @property
    def done(self) -> bool:
        """Whether nothing is missing, or nobody wants it any more."""
        return self._ended or not self._missing

    async def write(self, place: int, data: bytes) -> None:
        """Take one chunk.

        Raises:
            IntegrityError: It is not what was signed, or not wanted.
        """
        if self._ended:
            raise IntegrityError("nobody waits for this update any more")
        if place not in self._missing:
            return  # it came before the connection broke
        loop = asyncio.get_running_loop()
        if not await loop.run_in_executor(self._hands, self._write, place, data):
            raise IntegrityError(f"chunk {place} is not the one that was signed")
        self._missing.discard(place)

    async def close(self, complete: bool) -> None:
        """A transfer ended; the update is done if nothing is missing now."""
        if self._missing or self._ended:
            return
        self._ended = True
        loop = asyncio.get_running_loop()
        file = await loop.run_in_executor(self._hands, self._staging.commit)
        self._complete(file)

    async def abandon(self) -> None:
        """Nobody wants it any more."""
        if not self._ended:
            self._ended = True
            await asyncio.get_running_loop().run_in_executor(self._hands, self._staging.abandon)

    def _write(self, place: int, data: bytes) -> bool:
        if not self.manifest.check(place, data):
            return False
        self._staging.write(self.manifest.span(place).start, data)
        return True


async def _room(
    spool: Spool, update_id: str, layout: Layout, note: Mapping[str, Any], hands: ThreadPoolExecutor
) -> Staging | None:
    """Take room in the spool as soon as there seems to be some; None if another was faster."""
    while not spool.fits(layout, update_id=update_id, note=note):  # noqa: ASYNC110  # filled from threads
        await asyncio.sleep(_PAUSE_S)
    loop = asyncio.get_running_loop()
    try:
        return await loop.run_in_executor(hands, spool.receive, update_id, layout, note)
    except StorageFullError:
        raise
    except StoreError:
        return None
