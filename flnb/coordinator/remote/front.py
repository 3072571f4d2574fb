"""What the gRPC server talks to: who is here, and where their notes go.

Everything here happens on the coordinator's loop; databases are asked in the lab's one thread.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial

from google.protobuf.message import DecodeError

from flnb.coordinator.remote.entrance import Entrance, InIo, check_welcome
from flnb.coordinator.remote.notable import fate
from flnb.coordinator.remote.participants import RemoteClients
from flnb.coordinator.remote.patience import STALL_S, TICK_S, LoopClock
from flnb.coordinator.remote.session import ClientSession
from flnb.coordinator.remote.sessions import Sessions
from flnb.coordinator.remote.spoken import check_hello, story_of
from flnb.coordinator.remote.uploads import forget_others
from flnb.coordinator.remote.work import Key
from flnb.core.clock import SYSTEM_CLOCK
from flnb.core.errors import AccessRefusedError, NotFoundError
from flnb.core.ids import ClientId
from flnb.core.view import Status
from flnb.store import ClientRecord, LabStore, RunRecord
from flnb.tensors import Spool
from flnb.transport import ChunkSink, Limits, Package
from flnb.transport.call import Sendable
from flnb.transport.identity import verify
from flnb.transport.tokens import Claims, TokenIssuer
from flnb.transport.v1 import federation_pb2 as pb

log = logging.getLogger(__name__)


class Front:
    """The clients of one lab, as `flnb.transport.Hub`.

    Args:
        store: The lab's store.
        issuer: Signs and checks access tokens.
        limits: Bounds.
        in_io: Does blocking work in the lab's one thread for databases.
    """

    def __init__(self, store: LabStore, issuer: TokenIssuer, limits: Limits, in_io: InIo) -> None:
        self._store, self._limits, self._in_io = store, limits, in_io
        self._entrance = Entrance(store, issuer, limits, in_io)
        self._loop = asyncio.get_running_loop()
        self._spool = Spool(store.path / "spool", limits.spool_bytes)
        self._sessions = Sessions()
        self._here: dict[ClientId, str] = {}
        """Client to the layout with which it said hello, until its last session is over."""
        self._remotes: dict[str, RemoteClients] = {}
        self._asked_for: set[str] = set()
        """Layouts that a task of this lab has."""
        self._clock = LoopClock()
        self._closing: set[asyncio.Task[None]] = set()
        self._revoked = store.state.when_changed(store.state.revoked)
        # The database's thread may be busy for long: time must count, and be looked at, meanwhile.
        self._looking = (
            asyncio.create_task(self._each_tick(self._look_round), name="flnb-front"),
            asyncio.create_task(self._each_tick(self._see_revoked), name="flnb-revoked"),
        )

    # --- for the coordinator --------------------------------------------------------------------

    def clients_of(self, layout_hash: str) -> RemoteClients:
        """The remote clients whose model lies as that of a task of this lab."""
        self._asked_for.add(layout_hash)
        return self._remote(layout_hash)

    def states(self) -> dict[ClientId, str]:
        """What everybody who is here does: `idle` or `training`."""
        return {
            client: "training" if self._remotes[layout].works(client) else "idle"
            for client, layout in self._here.items()
        }

    def committed(self, run: str, round_number: int) -> None:
        """A round and all before it are in a commit."""
        for remote in self._remotes.values():
            remote.committed(run, round_number)

    def closed(self, run: str, round_number: int) -> None:
        """A round closed durably."""
        for remote in self._remotes.values():
            remote.closed(run, round_number)

    def expel(self, client: ClientId, reason: str, *, for_good: bool = True) -> None:
        """End a client's session and void its tokens: it was revoked, or has another key."""
        self._entrance.void(client)
        if (session := self._sessions.of(client)) is not None:
            session.end(reason, for_good=for_good)

    async def tidy(self) -> None:
        """Remove what is staged of runs that are over; before anybody can come."""
        over = {Status.FINISHED, Status.STOPPED}
        records: list[RunRecord] = await self._in_io(self._store.state.runs)
        going_on = {str(record.id) for record in records if record.status not in over}
        await self._in_io(forget_others, self._spool, going_on)

    async def close(self) -> None:
        """Say goodbye to everybody."""
        for task in self._looking:
            task.cancel()
        for session in self._sessions:
            session.end("the coordinator stops", for_good=False)
        await asyncio.sleep(0)
        for remote in tuple(self._remotes.values()):  # a client may come with another layout
            await asyncio.to_thread(remote.close)
        await asyncio.gather(*self._closing)

    # --- for the server -------------------------------------------------------------------------

    async def claims(self, token: str) -> Claims:
        """Read a token; see `Hub.claims`."""
        return self._entrance.claims(token)

    async def join(self, request: pb.JoinRequest, peer: str) -> pb.JoinReply:
        """Bind a key to an invited name."""
        record, taken_over = await self._entrance.join(request)
        if taken_over:
            self.expel(ClientId(record.name), "another key joined under this name")
        log.info("client %s joined from %s", record.name, peer, extra={"client": record.name})
        return pb.JoinReply(client=record.name, lab=self._store.id)

    async def rotate(self, request: pb.RotateRequest) -> pb.RotateReply:
        """Bind another key of the same client to its name."""
        record, changed = await self._entrance.rotate(request)
        if changed:  # it may come again, with the new key; whoever stole the old one may not
            self.expel(ClientId(record.name), "it has a new key", for_good=False)
            log.info("client %s has changed its key", record.name)
        return pb.RotateReply()

    async def challenge(self, request: pb.ChallengeRequest) -> pb.ChallengeReply:
        """Give a client something to sign."""
        return pb.ChallengeReply(nonce=self._entrance.challenge(request.client))

    async def sign_in(self, request: pb.SignInRequest) -> pb.SignInReply:
        """Give an access token for a signed challenge."""
        return await self._entrance.grant(request.client, request.nonce, request.signature)

    async def session(
        self,
        claims: Claims,
        notes: AsyncIterator[pb.ClientNote],
        send: Callable[[Sendable], Awaitable[None]],
    ) -> None:
        """Serve one client until it goes; see `Hub.session`."""
        if claims.role != "client":
            raise AccessRefusedError(f"a {claims.role} has no session as a client")
        client = ClientId(claims.name)
        session = ClientSession(client, claims.expires_at, send, self._limits)
        self._sessions.begin(session)
        try:
            await session.serve(notes, partial(self._heard, claims))
        finally:
            # One that was replaced leaves nothing: the newest does, even before its own hello.
            if self._sessions.over(session):
                self._gone(client, politely=session.left)

    async def package(self, claims: Claims, digest: bytes) -> Package:
        """The version that a client may fetch now."""
        layout = self._here.get(ClientId(claims.name))
        found = None if layout is None else self._remotes[layout].package(digest)
        if found is None:
            raise NotFoundError("version", digest.hex()[:12])
        return found

    async def sink(self, claims: Claims, request: pb.SendRequest) -> ChunkSink:
        """Where the chunks of an offered update go."""
        key, client = Key.of(request.assignment), ClientId(claims.name)
        if (layout := self._here.get(client)) is None:
            raise AccessRefusedError(f"{client} has no session")
        return self._remotes[layout].intake(client, key)

    # --- within ---------------------------------------------------------------------------------

    async def _heard(self, claims: Claims, session: ClientSession, note: pb.ClientNote) -> None:
        client, kind = session.client, note.WhichOneof("note")
        if kind == "hello":
            if session.layout_hash:
                raise AccessRefusedError("a session has one hello")
            check_hello(note.hello)
            await self._hello(claims, session, note.hello)
            return
        if kind == "proof":
            reply = await self._entrance.grant(client, note.proof.nonce, note.proof.signature)
            session.renewed(reply.access_token, reply.lifetime_s)
            return
        if kind == "leaving":
            session.left = True
            return
        if not session.layout_hash:
            raise AccessRefusedError("the first note of a session is a hello")
        remote = self._remotes[session.layout_hash]
        remote.alive(client)
        if kind == "alive":
            session.post(pb.CoordinatorNote(alive=pb.Alive()))  # the line holds, both ways
        elif kind == "failure":
            remote.fail(client, Key.of(note.failure.assignment), story_of(note.failure))
        elif kind == "offer":
            await self._offered(session, remote, note.offer)

    async def _hello(self, claims: Claims, session: ClientSession, hello: pb.Hello) -> None:
        about = {"task": hello.task, "version": hello.version, "code": hello.code_digest}
        now, registry = SYSTEM_CLOCK.now(), self._store.state
        record: ClientRecord = await self._in_io(registry.client, session.client)
        check_welcome(record)
        self._entrance.check_bound(record, claims)
        if (remote := self._remotes.get(hello.layout_hash)) is not None:
            remote.presence.check_name(session.client)
        session.public_key = record.public_key
        await self._in_io(registry.seen, session.client, now, hello.n_examples, about)
        welcome = pb.Welcome(alive_every_s=self._limits.alive_every_s, lease_s=self._limits.lease_s)
        session.post(pb.CoordinatorNote(welcome=welcome))
        for key in {Key.of(one) for one in hello.held}:
            verdict, generation = await self._in_io(fate, self._store, key)
            if verdict is not None:
                session.post(pb.CoordinatorNote(verdict=verdict))
                if verdict.kind == pb.Verdict.REFUSED and remote is not None:
                    remote.notable.refused_as_stale(session.client, key, generation)
        if session.ending:
            return  # another one is here meanwhile, or it was shut out
        if self._here.get(session.client, hello.layout_hash) != hello.layout_hash:
            self._gone(session.client, politely=False)  # it came back with another model
        session.layout_hash = self._here[session.client] = hello.layout_hash
        self._remote(hello.layout_hash).arrive(session.client, hello.n_examples, hello.life)
        log.info("client %s is here", session.client, extra={"client": session.client})

    async def _offered(
        self, session: ClientSession, remote: RemoteClients, offer: pb.Offer
    ) -> None:
        if not verify(session.public_key, offer.signature, "flnb-update", offer.envelope):
            raise AccessRefusedError("an update is not signed by the client's key")
        try:
            envelope = pb.Envelope.FromString(offer.envelope)
        except DecodeError as error:
            raise AccessRefusedError(f"an envelope cannot be read: {error}") from error
        # A full spool makes an offer wait; the session must hear other notes meanwhile.
        session.spawn(self._answer(session, remote, envelope, offer.inline))

    async def _answer(
        self, session: ClientSession, remote: RemoteClients, envelope: pb.Envelope, inline: bytes
    ) -> None:
        if await remote.offer(session.client, envelope, inline):
            return
        # Its run may only not go on yet, after a restart: the client keeps what took it long to make.
        key = Key.of(envelope.assignment)
        verdict, _ = await self._in_io(fate, self._store, key)
        if verdict is not None:
            session.post(pb.CoordinatorNote(verdict=verdict))

    def _remote(self, layout_hash: str) -> RemoteClients:
        if layout_hash not in self._remotes:
            self._remotes[layout_hash] = RemoteClients(
                self._loop, self._post, self._spool, self._limits, self._clock, self._unread
            )
        return self._remotes[layout_hash]

    def _unread(self) -> set[str]:
        return {name for remote in self._remotes.values() for name in remote.unread()}

    def _gone(self, client: ClientId, *, politely: bool) -> None:
        if (layout := self._here.pop(client, None)) is None:
            return
        remote = self._remotes[layout]
        remote.leave(client, politely=politely)
        log.info("client %s left", client, extra={"client": client, "politely": politely})
        if not remote.clients and layout not in self._asked_for:
            # No task of this lab has such a model, or clients could make up layouts without end.
            del self._remotes[layout]
            closing = asyncio.create_task(asyncio.to_thread(remote.close), name="flnb-close")
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)

    def _post(self, client: ClientId, note: Sendable) -> None:
        if (session := self._sessions.of(client)) is not None:
            session.post(note)

    async def _each_tick(self, look: Callable[[], Awaitable[None]]) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            try:
                await look()
            except Exception:
                log.exception("sessions were not looked at")  # they are, in a moment

    async def _look_round(self) -> None:
        """Time has passed: see whose token, lease or deadline is over."""
        if (stood_s := self._clock.tick()) >= STALL_S:
            log.warning("the loop stood still for %.1f s: leases and deadlines wait", stood_s)
            for remote in tuple(self._remotes.values()):
                remote.stalls.append(stood_s)
        now_s = SYSTEM_CLOCK.now().timestamp()
        self._sessions.look_at_tokens(now_s, self._entrance.challenge)
        for remote in tuple(self._remotes.values()):
            remote.tick()

    async def _see_revoked(self) -> None:
        """End sessions of clients that were revoked, by this process or another one."""
        if not self._sessions:
            return
        revoked: dict[str, str] | None = await self._in_io(self._revoked)
        for name, reason in (revoked or {}).items():
            if self._sessions.of(ClientId(name)) is not None:
                self.expel(ClientId(name), f"{name} was revoked: {reason}")
