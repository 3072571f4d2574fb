"""What an offered update is worth: it is taken, asked for in chunks, or refused with the reason.

Everything here happens on the coordinator's loop.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Protocol

from flnb.coordinator.remote import notes
from flnb.coordinator.remote.notable import Notable
from flnb.coordinator.remote.uploads import Uploads
from flnb.coordinator.remote.work import Key, OpenWork, Row
from flnb.core.errors import IntegrityError, StoreError
from flnb.core.failpoints import reach
from flnb.core.ids import ClientId
from flnb.core.messages import Outcome
from flnb.transport import CHUNK_BYTES, Manifest
from flnb.transport.call import Sendable
from flnb.transport.v1 import federation_pb2 as pb

log = logging.getLogger(__name__)

Post = Callable[[ClientId, Sendable], None]
"""Sends a note to a client if it is here; on the loop."""


class Round(Protocol):
    """Whoever has opened the work that updates are offered for."""

    @property
    def work(self) -> OpenWork | None:
        """The open work."""
        ...

    def alive(self, client: ClientId) -> None:
        """A client was heard."""
        ...

    def assign(self, work: OpenWork, row: Row) -> None:
        """Hand an assignment out, again."""
        ...

    def settle(
        self, work: OpenWork, places: Iterable[int | None], outcome: Outcome, reason: str
    ) -> None:
        """Give rows up that are pending."""
        ...


class Offers:
    """Answers offers of updates.

    Args:
        round_: Has opened the work.
        uploads: Takes updates in.
        notable: Hears what people should know of.
        post: Sends a note to a client.
    """

    def __init__(self, round_: Round, uploads: Uploads, notable: Notable, post: Post) -> None:
        self._round, self._uploads, self._notable, self._post = round_, uploads, notable, post

    async def hear(self, client: ClientId, envelope: pb.Envelope, inline: bytes) -> bool:
        """A client has a signed update: take it, ask for what is missing, or say what is wrong.

        Returns:
            False if nobody has said anything: nothing of its run is open, or only rounds before its own.
        """
        reach("offer-heard")
        key, work = Key.of(envelope.assignment), self._round.work
        if stale := self._notable.stale(client, key):
            self.refuse(key._replace(client=client), stale)
            return True
        if work is None or work.place(key) is None:
            return self._not_open(client, key, work)
        await self._open(client, key, work, envelope, inline)
        return True

    def _not_open(self, client: ClientId, key: Key, work: OpenWork | None) -> bool:
        if key.client == client and key in self._uploads:
            self._post(client, notes.received(key))
            return True
        elsewhere = work is None or work.work.run != key.run or work.precedes(key)
        if key.client == client and elsewhere:
            return False
        self.refuse(key._replace(client=client), f"{key} is not open")
        return True

    async def _open(
        self,
        client: ClientId,
        key: Key,
        work: OpenWork,
        envelope: pb.Envelope,
        inline: bytes,
    ) -> None:
        if objection := work.objection(envelope, client):
            if key.client == client:  # its own signed word: nothing better will come
                self._round.settle(work, [work.place(key)], Outcome.REFUSED, objection)
            self.refuse(key._replace(client=client), objection)
            return
        self._round.alive(client)
        place = work.place(key)
        assert place is not None, "nothing spoke against it"
        if work.rows[place].outcome is not Outcome.PENDING:
            self._answer_again(work.rows[place], envelope)
        elif envelope.update.n_bytes <= CHUNK_BYTES:
            if wrong := self._uploads.take_inline(work, place, envelope, inline):
                self.refuse(key, wrong)
                self._round.assign(work, work.rows[place])  # the line may have changed them
        else:
            await self._ask_for_chunks(work, place, envelope)

    def refuse(self, key: Key, reason: str) -> None:
        """Tell a client that an update must not count."""
        self._post(ClientId(key.client), notes.refused(key, reason))

    async def _ask_for_chunks(self, work: OpenWork, place: int, envelope: pb.Envelope) -> None:
        key = work.rows[place].key
        try:
            missing = await self._uploads.open(work, place, envelope)
        except IntegrityError as error:  # another one is coming in for this assignment
            self._remark(key, str(error))
            self.refuse(key, str(error))
            return
        except StoreError as error:
            log.warning("no update is taken for %s: %s", key, error)
            self.refuse(key, str(error))
            return
        if not missing:  # it counts, or has counted: whoever offered it was told
            return
        now_open = self._round.work
        if now_open is not None and now_open.wants(key):
            self._post(ClientId(key.client), notes.wanted(key, missing))
        else:
            self._uploads.drop(key)  # it waited for room until nobody wanted it
            self.refuse(key, "it came too late")

    def _answer_again(self, row: Row, envelope: pb.Envelope) -> None:
        digest = Manifest.from_message(envelope.update).digest
        if row.received is None:
            self.refuse(row.key, row.reason or "it came too late")
        elif row.received.digest == digest:
            self._post(ClientId(row.key.client), notes.received(row.key))
        else:
            # Both are validly signed: the first one stays, and both are named for whoever looks.
            reason = f"{row.received.digest.hex()} was received first, then {digest.hex()}"
            self._remark(row.key, reason)
            self.refuse(row.key, reason)

    def _remark(self, key: Key, reason: str) -> None:
        log.warning("two updates for %s: %s", key, reason)
        self._notable.remark(key.client, reason)
