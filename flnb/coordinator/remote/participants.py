"""Remote clients as participants of runs.

`begin` and `collect` are called from a population's thread and may block; what clients send
arrives on the coordinator's loop. One condition keeps the two apart; it is never held while
anything is read, hashed, added up or sent.

Several populations may have models that lie alike, and share these clients: one piece of work is
open at a time, whoever begins it holds `turn`, and collects the work that it began.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterable, Mapping

from flnb.coordinator.remote import notes
from flnb.coordinator.remote.intake import Inflow
from flnb.coordinator.remote.notable import Notable
from flnb.coordinator.remote.offers import Offers, Post
from flnb.coordinator.remote.patience import ABSENT_S, LoopClock
from flnb.coordinator.remote.presence import Presence
from flnb.coordinator.remote.report import arrivals, report
from flnb.coordinator.remote.uploads import Uploads
from flnb.coordinator.remote.work import Key, OpenWork, Received, Row, payload
from flnb.core.errors import IntegrityError
from flnb.core.failpoints import reach
from flnb.core.ids import ClientId
from flnb.core.messages import CohortReport, Outcome, Work
from flnb.tensors import CohortSum, Model, Spool
from flnb.transport import Limits, Manifest, Package
from flnb.transport.v1 import federation_pb2 as pb


class RemoteClients:
    """Remote clients of one model layout; `Together` makes `flnb.core.Participants` of them.

    Args:
        loop: The coordinator's loop, on which clients are heard.
        post: Sends a note to a client.
        spool: Where large updates are staged.
        limits: Bounds, and how long a client may be silent.
        clock: Tells the time that counts.
        unread: Names of updates in the spool that are still to be read, also by others who share it.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        post: Post,
        spool: Spool,
        limits: Limits,
        clock: LoopClock,
        unread: Callable[[], set[str]] | None = None,
    ) -> None:
        self._loop, self._post, self._limits, self._clock = loop, post, limits, clock
        self._uploads = Uploads(spool, self._complete, unread or self.unread)
        self.presence = Presence()
        self.work: OpenWork | None = None
        """What is open."""
        self._package: Package | None = None
        self._shared: bytes | None = None
        self._opened_s = 0.0
        self._news = threading.Condition()
        self._lacking: frozenset[ClientId] = frozenset()
        self.turn = asyncio.Lock()
        """Held from a round's assignment to its close, by one run of all populations."""
        self.stalls: list[float] = []
        """For how many seconds the loop stood still, each time since the open work began."""
        self.notable = Notable(lambda: self.work.work.run if self.work is not None else "")
        self._offers = Offers(self, self._uploads, self.notable, post)

    # --- from a population's thread -------------------------------------------------------------

    @property
    def clients(self) -> Mapping[ClientId, int]:
        """Everybody who is here, with the number of examples."""
        return self.presence.clients

    def begin(self, work: Work, model: Model) -> OpenWork:
        """Hand out one stage of one cohort; what was handed out before is withdrawn.

        Returns:
            What to collect.
        """
        data = payload(model)
        package = Package(data, Manifest.of(data))
        opened = OpenWork(work, model, package.manifest.digest)
        asyncio.run_coroutine_threadsafe(self._open(opened, package), self._loop).result()
        return opened

    def collect(
        self, work: OpenWork, limit: int | None = None, into: CohortSum | None = None
    ) -> CohortReport | None:
        """Wait for answers and report them in order of arrival; see `Participants.collect`."""
        with self._news:
            if work.reported:
                return None
            while not (places := work.take(limit)):
                if work.given_up:
                    return None
                self._news.wait()

        def more(left: int | None) -> list[int]:
            with self._news:
                return work.take(left)

        return report(work, arrivals(work, places, limit, more), self._refuse_from_thread, into)

    def cancel(self, work: OpenWork) -> None:
        """Make a running `collect` of this work return None soon."""
        with self._news:
            work.given_up = True
            self._news.notify_all()

    def close(self) -> None:
        """Let go of the threads."""
        if (work := self.work) is not None:
            self.cancel(work)
        self._uploads.close()

    def works(self, client: ClientId) -> bool:
        """Whether an answer of this client is waited for."""
        work = self.work
        row = work.of(client) if work is not None else None
        return row is not None and row.outcome is Outcome.PENDING

    def lacked(self, client: ClientId) -> bool:
        """Whether a client takes part in the open work, and its update was not here at its begin."""
        return client in self._lacking

    # --- what clients do, on the loop -----------------------------------------------------------

    def arrive(self, client: ClientId, n_examples: int, life: bytes = b"") -> None:
        """A client is here; work that waits for it is handed out again."""
        takes_part = self.work is not None and self.work.of(client) is not None
        was_here = takes_part and client in self.clients
        self.notable.came(client, life, self._since_s(), was_here=was_here)
        self.presence.came(client, n_examples)
        if self.work is not None and (row := self.work.of(client)) is not None:
            row.heard_s = self._since_s()
            if row.outcome is Outcome.PENDING:
                self.assign(self.work, row)

    def leave(self, client: ClientId, *, politely: bool) -> None:
        """A connection ended; whoever said so is not waited for."""
        if self.work is not None and (row := self.work.of(client)) is not None:
            self.notable.left(client, self._since_s())
            if politely:
                self.settle(self.work, [self.work.place(row.key)], Outcome.LOST, "it left")
        self.presence.left(client)

    def alive(self, client: ClientId) -> None:
        """A client was heard."""
        if self.work is not None and (row := self.work.of(client)) is not None:
            row.heard_s = self._since_s()

    def fail(self, client: ClientId, key: Key, traceback: str) -> None:
        """A client's task raised."""
        work = self.work
        if work is not None and key.client == client:
            self.settle(work, [work.place(key)], Outcome.FAILED, traceback)

    async def offer(self, client: ClientId, envelope: pb.Envelope, inline: bytes) -> bool:
        """A client has a signed update; see `Offers.hear`."""
        return await self._offers.hear(client, envelope, inline)

    def intake(self, client: ClientId, key: Key) -> Inflow:
        """Where the chunks of an offered update go.

        Raises:
            IntegrityError: No such update was offered, or nobody waits for it any more.
        """
        intake = self._uploads.intake(key)
        if intake is None or key.client != client:
            raise IntegrityError(f"no update of {client} for {key} is expected")
        return intake.transfer()

    def unread(self) -> set[str]:
        """Names of updates in the spool that are still to be read."""
        return self._uploads.unread(self.work)

    def package(self, digest: bytes) -> Package | None:
        """The version of the open work, if it is that one."""
        package = self._package
        return package if package is not None and package.manifest.digest == digest else None

    def tick(self) -> None:
        """Time has passed: see who was silent for too long, and whether the deadline is over."""
        work = self.work
        if work is None:
            return
        for place in work.pending:
            row = work.rows[place]
            here = ClientId(row.key.client) in self.clients
            silent_s = self._since_s() - row.heard_s
            if silent_s > (self._limits.lease_s if here else ABSENT_S):
                self.settle(work, [place], Outcome.LOST, f"not heard of for {silent_s:.0f} s")
        deadline_s = work.work.deadline_s
        if deadline_s is not None and self._since_s() >= deadline_s and (late := work.pending):
            self.settle(work, late, Outcome.LATE, f"not here after {deadline_s:g} s")

    def closed(self, run: str, round_number: int) -> None:
        """A round closed: whoever still works for it need not."""
        work = self.work
        if work is not None and (work.work.run, work.work.round) == (run, round_number):
            self._withdraw(work, keep=set(), reason=f"round {round_number} has closed")
            self.work = self._package = self._shared = None

    def committed(self, run: str, round_number: int) -> None:
        """Everything up to a round is in a commit: clients may delete what they keep of it."""
        reach("before-settled")
        for key in self._uploads.kept(run, round_number):
            self._post(ClientId(key.client), notes.settled(key))
            self._uploads.drop(key)
        reach("after-settled")

    def ended(self, run: str) -> None:
        """A run is over: nobody works for it any more, and nothing of it is kept."""
        work, kept = self.work, self._uploads.kept(run)
        if work is not None and work.work.run == run:
            self._withdraw(work, keep=set(), reason="the run has ended")
            self.work = self._package = self._shared = None
        for key in kept:
            self._post(ClientId(key.client), notes.settled(key))
        self._uploads.end(run)

    def taken_back(self, run: str, generation: int) -> None:
        """The head of a run was moved: what was handed out or came in for it is of another past."""
        self.notable.taken_back(run, generation)
        held = {key for key in self._uploads.kept(run) if key.generation < generation}
        work = self.work
        if work is not None and work.work.run == run and work.work.generation < generation:
            self._withdraw(work, keep=held, reason="the run was rolled back")
            self.cancel(work)
            self.work = self._package = self._shared = None
        for key in held:  # its client keeps it until it hears of it; people hear in the next round
            client = ClientId(key.client)
            self._offers.refuse(key, self.notable.refused_as_stale(client, key, generation))
        self._uploads.end(run, before=generation)

    def assign(self, work: OpenWork, row: Row) -> None:
        """Hand an assignment out, again where it was before."""
        assert self._package is not None, "open work has a base"
        if self._shared is None:
            self._shared = notes.shared_by_all(work.work, self._package)
        self._post(ClientId(row.key.client), notes.assignment(row.key, self._shared))

    def settle(
        self, work: OpenWork, places: Iterable[int | None], outcome: Outcome, reason: str
    ) -> None:
        """Give rows up that are pending: they failed, were lost, refused or are late."""
        pending = set(work.pending)
        given_up = [place for place in places if place is not None and place in pending]
        with self._news:
            work.settle(given_up, outcome, reason, self._since_s())
            self._news.notify_all()
        for place in given_up:
            key = work.rows[place].key
            if outcome not in {Outcome.FAILED, Outcome.REFUSED}:
                self._post(ClientId(key.client), notes.withdrawn(key, reason))
            self._uploads.drop(key)

    # --- within, on the loop --------------------------------------------------------------------

    async def _open(self, work: OpenWork, package: Package) -> None:
        if (before := self.work) is not None:
            self._withdraw(before, {row.key for row in work.rows}, "other work has begun")
            self.cancel(before)
        self._opened_s, self.stalls = self._clock.now_s(), []
        self.notable.begin(work.work.run, work.work.generation)
        with self._news:
            self.work, self._package, self._shared = work, package, None
        self._uploads.recall(work)
        self._lacking = frozenset(ClientId(work.rows[place].key.client) for place in work.pending)
        for place in work.pending:
            self.assign(work, work.rows[place])
        reach("work-opened")

    def _complete(self, key: Key, base_digest: bytes, update: Received) -> bool:
        with self._news:
            # The work may have begun anew while the chunks came: by its name it is the same.
            work = self.work
            if counts := work is not None and work.base_digest == base_digest:
                counts = work.receive(key, update, self._since_s())
            self._news.notify_all()
        if counts:
            self.notable.received(key.client, update.facts)
        reach("update-counted")
        answer = notes.received(key) if counts else notes.refused(key, "it came too late")
        self._post(ClientId(key.client), answer)
        return counts

    def _withdraw(self, work: OpenWork, keep: set[Key], reason: str) -> None:
        for row in work.rows:
            if row.key not in keep and not row.reported:
                self._post(ClientId(row.key.client), notes.withdrawn(row.key, reason))
                self._uploads.drop(row.key)

    def _since_s(self) -> float:
        """Seconds that counted since the work was opened."""
        return self._clock.now_s() - self._opened_s

    def _refuse_from_thread(self, key: Key, reason: str) -> None:
        self._loop.call_soon_threadsafe(self._offers.refuse, key, reason)
        self._loop.call_soon_threadsafe(self._uploads.drop, key)
