"""One large update on its way into the spool: chunks in any order, each checked as it comes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from itertools import takewhile
from typing import Any

from flnb.coordinator.remote.hands import Hands
from flnb.core.errors import IntegrityError, StorageFullError, StoreError, UnreachableError
from flnb.core.failpoints import reach
from flnb.tensors import Layout, Spool, SpoolFile, Staging
from flnb.transport import Manifest, chunks_in, in_a_row

log = logging.getLogger(__name__)

_AHEAD_BYTES = 8 * 1024 * 1024
"""So much of an update goes to the disk while the rest of it is on the line."""
_PAUSE_S = 0.1
_FULL_S = 2.0
"""How long to wait before a full disk is tried again."""


class Intake:
    """Takes the chunks of one update; a transfer that broke goes on where it was.

    Made by `open`. Its methods are called on the loop and do their work in threads.
    """

    def __init__(
        self,
        staging: Staging,
        manifest: Manifest,
        hands: Hands,
        complete: Callable[[Intake, SpoolFile], None],
    ) -> None:
        self.manifest = manifest
        self.hands = hands
        self._staging, self._complete = staging, complete
        self._missing = set(range(manifest.chunk_count))
        self._ended = False
        self._syncing: asyncio.Future[None] | None = None
        self._committing: asyncio.Task[None] | None = None
        self.broken = False
        """Whether it was whole and could not be synced: everything must be sent again."""

    @classmethod
    async def open(
        cls,
        spool: Spool,
        update_id: str,
        layout: Layout,
        note: Mapping[str, Any],
        *,
        manifest: Manifest,
        hands: Hands,
        complete: Callable[[Intake, SpoolFile], None],
        make_room: Callable[[], None] = lambda: None,
    ) -> Intake:
        """Make room for an update; a full spool delays it, and so does a full disk.

        Args:
            spool: Where it is staged.
            update_id: Its name there.
            layout: What it must fit.
            note: Kept with it.
            manifest: Its chunks.
            hands: Threads that hash and write.
            complete: Called on the loop with itself once it is whole and on the disk.
            make_room: Called on the loop while there is none.

        Raises:
            StoreError: It is larger than the whole spool.
        """
        told = False
        while True:
            full, pause_s = f"the spool is full, with {spool.used_bytes:,} bytes", _PAUSE_S
            if not spool.fits(layout, update_id=update_id, note=note):
                make_room()
            try:
                staging = await _room(spool, update_id, layout, note, hands)
            except StorageFullError as error:
                staging, full, pause_s = None, error.message, _FULL_S
            except OSError as error:  # too many open files, a disk that can only be read
                staging, full, pause_s = None, f"no file can be made: {error}", _FULL_S
            if staging is not None:
                break
            if not told:
                log.warning("update %s waits until there is room: %s", update_id, full)
            told = True
            await asyncio.sleep(pause_s)
        return cls(staging, manifest, hands, complete)

    @property
    def missing(self) -> list[int]:
        """Places of the chunks that did not come yet."""
        return sorted(self._missing)

    @property
    def done(self) -> bool:
        """Whether nothing is missing, or nobody wants it any more."""
        return self._ended or not self._missing

    def transfer(self) -> Inflow:
        """Make a place for the chunks of one transfer."""
        return Inflow(self)

    def expects(self, places: Sequence[int]) -> bool:
        """Whether one of these chunks is still missing.

        Raises:
            IntegrityError: Nobody waits for this update any more.
        """
        if self._ended:
            raise IntegrityError("nobody waits for this update any more")
        return not self._missing.isdisjoint(places)

    async def take(self, places: Sequence[int], data: bytes) -> None:
        """Check chunks and write them.

        Args:
            places: Where they belong.
            data: The chunks, one after the other.

        Raises:
            IntegrityError: One is not what was signed; those before it are taken.
            StorageFullError: The disk is full.
            UnreachableError: The coordinator stops.
        """
        self.hands.check_open()
        loop = asyncio.get_running_loop()
        written = await loop.run_in_executor(self.hands.writing, self._write, places, data)
        self._missing.difference_update(written)
        self._sync_ahead()
        if len(written) < len(places):
            raise IntegrityError(f"chunk {places[len(written)]} is not the one that was signed")

    async def finish(self) -> None:
        """A transfer ended; the update is done if nothing is missing now, whoever sent it.

        Raises:
            UnreachableError: It is, and the coordinator stops.
            StorageFullError: The disk is full; everything must be sent again.
            OSError: The disk has failed; everything must be sent again.
        """
        if self._missing:
            return
        if not self._ended:
            self.hands.check_open()
            self._ended = True
            # A client that goes this moment cancels its transfer, not what it has sent.
            self._committing = asyncio.create_task(self._commit(), name="flnb-commit")
        if self._committing is not None:
            await asyncio.shield(self._committing)

    async def _commit(self) -> None:
        reach("body-whole")
        if self._syncing is not None:
            self._syncing.cancel()  # one that waits behind those of others: all of it follows now
        loop = asyncio.get_running_loop()
        try:
            file = await loop.run_in_executor(self.hands.syncing, self._staging.commit)
        except BaseException:
            self.broken = True
            raise
        reach("body-synced")
        self._complete(self, file)

    async def abandon(self) -> None:
        """Nobody wants it any more."""
        if not self._ended:
            self._ended = True
            await asyncio.get_running_loop().run_in_executor(
                self.hands.syncing, self._staging.abandon
            )

    def _sync_ahead(self) -> None:
        """See that not all of it has to go to the disk at the end, while somebody waits for that."""
        if not self._missing or self._staging.unsynced_bytes < _AHEAD_BYTES:
            return
        if self._syncing is None or self._syncing.done():
            self.hands.check_open()
            loop = asyncio.get_running_loop()
            self._syncing = loop.run_in_executor(self.hands.ahead, self._staging.sync)

    def _write(self, places: Sequence[int], data: bytes) -> list[int]:
        """Write chunks up to the first that is wrong, in the thread: the places of those written."""
        chunks = zip(places, chunks_in(data), strict=True)
        right = [place for place, _ in takewhile(lambda one: self.manifest.check(*one), chunks)]
        left = memoryview(data)
        for some in in_a_row(right):
            span = self.manifest.stretch(some)
            n_bytes = span.stop - span.start
            self._staging.write(span.start, left[:n_bytes])
            left = left[n_bytes:]
            for _ in some:
                reach("chunk-taken")
        return right


class Inflow:
    """The chunks of one transfer, as `flnb.transport.ChunkSink`: the next come while some are taken.

    Args:
        intake: Takes them.
    """

    def __init__(self, intake: Intake) -> None:
        self._intake = intake
        self._waiting: tuple[Sequence[int], bytes] | None = None
        self._taking: asyncio.Task[None] | None = None

    async def write(self, places: Sequence[int], data: bytes) -> None:
        """Take the chunks of a message; they may be checked later, at the latest when it is closed.

        Raises:
            IntegrityError: They are not wanted, or one before them is not what was signed.
            StorageFullError: The disk is full.
            UnreachableError: The coordinator stops.
        """
        if not self._intake.expects(places):
            return  # they came before the connection broke
        self._waiting = places, data
        await self._hand_on()

    async def close(self, complete: bool) -> None:
        """The transfer is over: see that everything that came is written.

        Raises:
            IntegrityError: A chunk is not what was signed.
            StorageFullError: The disk is full.
            UnreachableError: The coordinator stops.
        """
        try:
            await self._hand_on()
            await self._hand_on()
        except (IntegrityError, StoreError, UnreachableError):
            if complete:
                raise
        await self._intake.finish()

    async def _hand_on(self) -> None:
        """Wait for the chunks before and for a thread, then let those that wait be written."""
        if self._taking is not None:
            # Whoever is cancelled here has it done all the same, and `close` hears how it ended.
            await asyncio.shield(self._taking)
            self._taking = None
        if self._waiting is not None:
            free = self._intake.hands.free
            await free.acquire()
            taking, self._waiting = self._intake.take(*self._waiting), None
            self._taking = asyncio.create_task(taking, name="flnb-chunks")
            self._taking.add_done_callback(lambda _taken: free.release())


async def _room(
    spool: Spool, update_id: str, layout: Layout, note: Mapping[str, Any], hands: Hands
) -> Staging | None:
    """Take room in the spool if there seems to be some; None if there is not, or no more."""
    if not spool.fits(layout, update_id=update_id, note=note):
        return None
    loop = asyncio.get_running_loop()
    making = loop.run_in_executor(hands.writing, spool.receive, update_id, layout, note)
    try:
        return await asyncio.shield(making)
    except StorageFullError:
        raise
    except StoreError:
        return None
    except asyncio.CancelledError:
        making.add_done_callback(_given_back)
        raise


def _given_back(made: asyncio.Future[Staging]) -> None:
    """Give back the room that was made for a client that has gone meanwhile."""
    if not made.cancelled() and made.exception() is None:
        made.result().abandon()
