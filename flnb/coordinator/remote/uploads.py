"""Updates on their way in: inline ones in memory, large ones through the spool.

Everything is called on the coordinator's loop; threads hash and write. Whoever is told of a
complete update says whether it is news: that one place decides what counts.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor

from flnb.coordinator.remote.intake import Intake
from flnb.coordinator.remote.work import Facts, Key, OpenWork, Received, payload_bytes, read_update
from flnb.core.errors import IntegrityError
from flnb.tensors import Spool, SpoolFile
from flnb.transport import CHUNK_BYTES, Manifest
from flnb.transport.v1 import federation_pb2 as pb


class Uploads:
    """Updates of remote clients that are coming in, or came and are not in a commit yet.

    Args:
        spool: Where large ones are staged.
        complete: Told of each whole update with the digest of its base; says whether it counts.
    """

    def __init__(self, spool: Spool, complete: Callable[[Key, bytes, Received], bool]) -> None:
        self._spool, self._complete = spool, complete
        self._intakes: dict[Key, Intake] = {}
        self._kept: dict[Key, SpoolFile | None] = {}
        """Updates that counted, until their round is in a commit."""
        self._hands = ThreadPoolExecutor(2, thread_name_prefix="flnb-intake")

    def __contains__(self, key: Key) -> bool:
        """Whether an update counted and is kept."""
        return key in self._kept

    def close(self) -> None:
        """Let go of the threads."""
        self._hands.shutdown(wait=True)

    def kept(self, run: str, round_number: float = math.inf) -> list[Key]:
        """Updates of a run up to a round that are kept."""
        return [key for key in self._kept if key.run == run and key.round <= round_number]

    def recall(self, work: OpenWork) -> None:
        """Take up what was received before the coordinator died; older work of the run is over."""
        places = {_update_id(row.key): place for place, row in enumerate(work.rows)}
        for file in self._spool.files:
            place = places.get(file.update_id)
            if place is None:
                if _run_of(file) == work.work.run:
                    self._hands.submit(self._spool.delete, file.update_id)
                continue
            envelope = pb.Envelope.FromString(bytes.fromhex(file.note["envelope"]))
            key = work.rows[place].key
            if key not in self._kept and not work.objection(envelope, key.client):
                self._counts(work, key, _from_spool(work, envelope, file), file)

    def take_inline(self, work: OpenWork, place: int, envelope: pb.Envelope, data: bytes) -> str:
        """Take an update that came with its offer; returns what is wrong with it."""
        manifest = Manifest.from_message(envelope.update)
        if len(data) != payload_bytes(work.layout) or not manifest.check(0, data):
            return "its bytes are not those that were signed"
        update = Received(
            Facts.of(envelope), manifest.digest, lambda: read_update(work.layout, data)
        )
        self._counts(work, work.rows[place].key, update, None)
        return ""

    async def open(self, work: OpenWork, place: int, envelope: pb.Envelope) -> list[int]:
        """Get ready for a large update; waits while the spool is full.

        Returns:
            Places of the chunks that are missing.

        Raises:
            IntegrityError: Another update was offered for this assignment.
            StoreError: It is larger than the whole spool, or could not be synced.
        """
        key, manifest = work.rows[place].key, Manifest.from_message(envelope.update)
        assert manifest.n_bytes > CHUNK_BYTES, "smaller ones come inline"
        if (known := self._intakes.get(key)) is not None and known.broken:
            del self._intakes[key]
        if key not in self._intakes:

            def complete(file: SpoolFile) -> None:
                self._intakes.pop(key, None)
                self._counts(work, key, _from_spool(work, envelope, file), file)

            note = {"envelope": envelope.SerializeToString().hex()}
            intake = await Intake.open(
                self._spool, _update_id(key), work.layout, note, manifest, self._hands, complete
            )
            if self._intakes.setdefault(key, intake) is not intake:
                await intake.abandon()  # offered twice at once
        if (first := self._intakes[key].manifest) != manifest:
            raise IntegrityError(
                f"{first.digest.hex()} was offered first, then {manifest.digest.hex()}"
            )
        missing = self._intakes[key].missing
        if not missing:  # the transfer broke after the last chunk
            await self._intakes[key].finish()
        return missing

    def intake(self, key: Key) -> Intake | None:
        """Where the chunks of an offered update go."""
        return self._intakes.get(key)

    def drop(self, key: Key) -> None:
        """Nobody wants this update any more, or it is in a commit."""
        if (intake := self._intakes.pop(key, None)) is not None:
            asyncio.get_running_loop().create_task(intake.abandon())
        if (file := self._kept.pop(key, None)) is not None:
            self._hands.submit(self._spool.delete, file.update_id)

    def end(self, run: str) -> None:
        """A run is over: nobody wants anything of it any more."""
        for key in [key for key in (*self._intakes, *self._kept) if key.run == run]:
            self.drop(key)
        for file in self._spool.files:  # of earlier attempts; some of them are being deleted
            if _run_of(file) == run:
                self._hands.submit(self._spool.delete, file.update_id)

    def _counts(self, work: OpenWork, key: Key, update: Received, file: SpoolFile | None) -> None:
        self._kept[key] = file
        if not self._complete(key, work.base_digest, update):
            self.drop(key)


def forget_others(spool: Spool, going_on: Collection[str]) -> None:
    """Remove what is staged of other runs than those that go on."""
    for file in spool.files:
        if _run_of(file) not in going_on:
            spool.delete(file.update_id)


def _update_id(key: Key) -> str:
    return "/".join(map(str, key))


def _run_of(file: SpoolFile) -> str:
    return file.update_id.partition("/")[0]


def _from_spool(work: OpenWork, envelope: pb.Envelope, file: SpoolFile) -> Received:
    digest = Manifest.from_message(envelope.update).digest
    return Received(Facts.of(envelope), digest, lambda: file.open(work.layout))
