"""Updates on their way in: inline ones in memory, large ones through the spool.

Everything is called on the coordinator's loop; threads hash and write. Whoever is told of a
complete update says whether it is news: that one place decides what counts.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import Callable, Collection, Mapping
from typing import Any

from flnb.coordinator.remote.hands import Hands
from flnb.coordinator.remote.intake import Intake
from flnb.coordinator.remote.work import Facts, Key, OpenWork, Received, payload_bytes, read_update
from flnb.core.errors import IntegrityError, NotFoundError, StorageFullError
from flnb.tensors import Spool, SpoolFile
from flnb.transport import CHUNK_BYTES, Manifest
from flnb.transport.v1 import federation_pb2 as pb

_LOOK_S = 0.1
"""Between two looks at what could make room."""
_SPARES_S = 600.0
"""For how long the files of a run that is over are kept to be written over by the next one: an update of
64 MB into a new file costs twice the processor time, and a third more of the disk's."""


class Uploads:
    """Updates of remote clients that are coming in, or came and are not in a commit yet.

    Args:
        spool: Where large ones are staged.
        complete: Told of each whole update with the digest of its base; says whether it counts.
        unread: Names of updates in the spool that are still to be read, whoever has asked for them.
    """

    def __init__(
        self,
        spool: Spool,
        complete: Callable[[Key, bytes, Received], bool],
        unread: Callable[[], set[str]],
    ) -> None:
        self._spool, self._complete, self._unread = spool, complete, unread
        self._intakes: dict[Key, Intake] = {}
        self._kept: dict[Key, SpoolFile | None] = {}
        """Updates that counted, until their round is in a commit; None where no file is kept."""
        self._abandoning: set[asyncio.Task[None]] = set()
        self._hands = Hands()
        self._next_look_s = -math.inf

    def __contains__(self, key: Key) -> bool:
        """Whether an update counted and is kept."""
        return key in self._kept

    def close(self) -> None:
        """Let go of the threads."""
        self._hands.close()
        self._spool.tidy()

    def kept(self, run: str, round_number: float = math.inf) -> list[Key]:
        """Updates of a run up to a round that are kept."""
        return [key for key in self._kept if key.run == run and key.round <= round_number]

    def recall(self, work: OpenWork) -> None:
        """Take up what was received before the run rested, or the coordinator died.

        Older work of the run is over, but what counted is kept until it is in a commit. Of rounds
        that are done again nothing has counted yet, and what was received for those after them
        waits until they come again.
        """
        run, number = work.work.run, work.work.round
        keys = {_update_id(row.key): row.key for row in work.rows}
        for key in self.kept(run):
            if key.round > number or _update_id(key) in keys:
                del self._kept[key]
        kept = {_update_id(key) for key in self._kept}
        for file in self._spool.files:
            if _run_of(file) != run:
                continue
            known, envelope = keys.get(file.update_id), _envelope_of(file)
            if file.update_id in kept or work.precedes(Key.of(envelope.assignment)):
                continue
            if known is None or work.objection(envelope, known.client):
                self._hands.writing.submit(self._spool.delete, file.update_id)
            else:
                self._counts(work, known, _from_spool(work, envelope, file), file)

    def take_inline(self, work: OpenWork, place: int, envelope: pb.Envelope, data: bytes) -> str:
        """Take an update that came with its offer; returns what is wrong with it."""
        manifest = Manifest.from_message(envelope.update)
        if len(data) != payload_bytes(work.layout) or not manifest.check(0, data):
            return "its bytes are not those that were signed"
        layout = work.layout  # as in `_from_spool`
        update = Received(Facts.of(envelope), manifest.digest, lambda: read_update(layout, data))
        self._counts(work, work.rows[place].key, update, None)
        return ""

    async def open(self, work: OpenWork, place: int, envelope: pb.Envelope) -> list[int]:
        """Get ready for a large update; waits while the spool is full.

        Returns:
            Places of the chunks that are missing.

        Raises:
            IntegrityError: Another update was offered for this assignment, or has counted.
            StoreError: It is larger than the whole spool, or could not be synced.
        """
        key, manifest = work.rows[place].key, Manifest.from_message(envelope.update)
        assert manifest.n_bytes > CHUNK_BYTES, "smaller ones come inline"
        intake = self._coming(key)
        if intake is None:

            def complete(done: Intake, file: SpoolFile) -> None:
                if self._intakes.get(key) is done:
                    del self._intakes[key]
                if key not in self._kept:  # else the work began anew just now, and found the file
                    self._counts(work, key, _from_spool(work, envelope, file), file)

            note = {"envelope": envelope.SerializeToString().hex()}
            made = await Intake.open(
                self._spool, _update_id(key), work.layout, note, manifest=manifest,
                hands=self._hands, complete=complete,
                make_room=lambda: self._make_room(work, key, note),
            )  # fmt: skip
            if (counted := self._kept.get(key)) is not None:  # while this one waited for room
                self._give_up(made)
                _check_same(_manifest_of(counted), manifest, "was received")
                return []
            if (intake := self._coming(key)) is None:
                intake = self._intakes[key] = made
            else:
                self._give_up(made)  # offered twice at once
        _check_same(intake.manifest, manifest, "was offered")
        missing = intake.missing
        if not missing:  # the transfer broke after the last chunk
            try:
                await intake.finish()
            except (StorageFullError, OSError):  # what had come is lost with its file
                return await self.open(work, place, envelope)
        return missing

    def intake(self, key: Key) -> Intake | None:
        """Where the chunks of an offered update go."""
        return self._intakes.get(key)

    def drop(self, key: Key) -> None:
        """Nobody wants this update any more, or it is in a commit."""
        if (intake := self._intakes.pop(key, None)) is not None:
            self._give_up(intake)
        if (file := self._kept.pop(key, None)) is not None:
            self._hands.writing.submit(self._spool.delete, file.update_id)

    def end(self, run: str, *, before: float = math.inf) -> None:
        """A run, or what its generations before some other did, is over: nobody wants it any more."""
        for key in (*self._intakes, *self._kept):
            if key.run == run and key.generation < before:
                self.drop(key)
        for file in self._spool.files:  # of earlier attempts; some of them are being deleted
            if _run_of(file) == run and _envelope_of(file).assignment.generation < before:
                self._hands.writing.submit(self._spool.delete, file.update_id)
        asyncio.get_running_loop().call_later(_SPARES_S, self._tidy)

    def _tidy(self) -> None:
        with contextlib.suppress(RuntimeError):  # the threads are gone, and so is what they kept
            self._hands.writing.submit(self._spool.tidy)

    def unread(self, work: OpenWork | None) -> set[str]:
        """Names of updates in the spool that are still to be read: come, or coming, and not added up."""
        rows = work.rows if work is not None else ()
        return {_update_id(row.key) for row in rows if not row.folded} | set(
            map(_update_id, self._intakes)
        )

    def _make_room(self, work: OpenWork, key: Key, note: Mapping[str, Any]) -> None:
        """Give up what nobody reads any more: it is kept for a crash, and can be asked for again.

        That is what was received for later rounds of a run that went back, by runs that rest, and what
        was added up and waits for a commit, which the round that lacks room may keep from coming.
        """
        now_s = asyncio.get_running_loop().time()
        if now_s < self._next_look_s:  # whoever waits asks again; they may be a thousand
            return
        self._next_look_s = now_s + _LOOK_S
        kept, unread = {_update_id(key): key for key in self._kept}, self._unread()
        later, others = list[str](), list[str]()
        for file in self._spool.files:
            own = _run_of(file) == work.work.run
            again = own and work.precedes(Key.of(_envelope_of(file).assignment))
            (later if again else others).append(file.update_id)
        for update_id in later + others:
            if self._spool.fits(work.layout, update_id=_update_id(key), note=note):
                return
            if update_id not in unread:
                with contextlib.suppress(NotFoundError):  # a thread was before: its round is saved
                    self._spool.delete(update_id)
                if update_id in kept:
                    self._kept[kept[update_id]] = None

    def _give_up(self, intake: Intake) -> None:
        """Abandon an intake, whatever becomes of whoever asked for it."""
        abandoning = asyncio.create_task(intake.abandon(), name="flnb-abandon")
        self._abandoning.add(abandoning)
        abandoning.add_done_callback(self._abandoning.discard)

    def _coming(self, key: Key) -> Intake | None:
        """Where an update comes in that could still be whole."""
        intake = self._intakes.get(key)
        return intake if intake is not None and not intake.broken else None

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


def _envelope_of(file: SpoolFile) -> pb.Envelope:
    return pb.Envelope.FromString(bytes.fromhex(file.note["envelope"]))


def _manifest_of(file: SpoolFile) -> Manifest:
    return Manifest.from_message(_envelope_of(file).update)


def _check_same(first: Manifest, second: Manifest, what: str) -> None:
    if first != second:
        raise IntegrityError(f"{first.digest.hex()} {what} first, then {second.digest.hex()}")


def _from_spool(work: OpenWork, envelope: pb.Envelope, file: SpoolFile) -> Received:
    digest, layout = Manifest.from_message(envelope.update).digest, work.layout
    # Not of the work itself: a cycle keeps its base, one more model a round, until Python looks.
    return Received(Facts.of(envelope), digest, lambda: file.open(layout))
