"""What the gRPC server talks to: who may come in, who is here, and where their notes go.

Everything here happens on the coordinator's loop; databases are asked in the lab's one thread.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from google.protobuf.message import DecodeError

from flnb.coordinator.remote.challenges import Challenges
from flnb.coordinator.remote.participants import RemoteClients
from flnb.coordinator.remote.patience import STALL_S, TICK_S, LoopClock
from flnb.coordinator.remote.session import Session
from flnb.coordinator.remote.spoken import check_hello, story_of
from flnb.coordinator.remote.work import Key
from flnb.core.clock import SYSTEM_CLOCK
from flnb.core.errors import AccessRefusedError, NotFoundError, TokenExpiredError
from flnb.core.ids import ClientId
from flnb.store import ClientRecord, LabStore
from flnb.tensors import Spool
from flnb.transport import ChunkSink, Limits, Package
from flnb.transport.identity import verify
from flnb.transport.invite import token_hash
from flnb.transport.tokens import Claims, TokenIssuer
from flnb.transport.v1 import federation_pb2 as pb

log = logging.getLogger(__name__)

InIo = Callable[..., Awaitable[Any]]


class Front:
    """The clients of one lab, as `flnb.transport.Hub`.

    Args:
        store: The lab's store.
        issuer: Signs and checks access tokens.
        limits: Bounds.
        in_io: Does blocking work in the lab's one thread for databases.
    """

    def __init__(self, store: LabStore, issuer: TokenIssuer, limits: Limits, in_io: InIo) -> None:
        self._store, self._issuer, self._limits, self._in_io = store, issuer, limits, in_io
        self._loop = asyncio.get_running_loop()
        self._spool = Spool(store.path / "spool", limits.spool_bytes)
        self._sessions: dict[ClientId, Session] = {}
        self._remotes: dict[str, RemoteClients] = {}
        self._challenges = Challenges()
        self._void_before: dict[str, float] = {}
        """Client to when its older tokens were taken back; seconds since 1970."""
        self._clock = LoopClock()
        self._ticking = asyncio.create_task(self._tick(), name="flnb-front")

    # --- for the coordinator --------------------------------------------------------------------

    def clients_of(self, layout_hash: str) -> RemoteClients:
        """The remote clients whose model lies like that; made when first asked for."""
        if layout_hash not in self._remotes:
            self._remotes[layout_hash] = RemoteClients(
                self._loop, self._post, self._spool, self._limits, self._clock
            )
        return self._remotes[layout_hash]

    def state_of(self, client: ClientId) -> str:
        """What a client is doing: `idle`, `training` or `offline`."""
        session = self._sessions.get(client)
        if session is None or not session.layout_hash:
            return "offline"
        return "training" if self.clients_of(session.layout_hash).works(client) else "idle"

    def committed(self, run: str, round_number: int) -> None:
        """A round and all before it are in a commit."""
        for remote in self._remotes.values():
            remote.committed(run, round_number)

    def closed(self, run: str, round_number: int) -> None:
        """A round closed durably."""
        for remote in self._remotes.values():
            remote.closed(run, round_number)

    def expel(self, client: ClientId, reason: str) -> None:
        """End a client's session and void its tokens: it was revoked, or another key took over."""
        self._void_before[client] = SYSTEM_CLOCK.now().timestamp()
        if (session := self._sessions.get(client)) is not None:
            session.end(reason, for_good=True)

    async def close(self) -> None:
        """Say goodbye to everybody."""
        self._ticking.cancel()
        for session in tuple(self._sessions.values()):
            session.end("the coordinator stops", for_good=False)
        await asyncio.sleep(0)
        for remote in tuple(self._remotes.values()):  # a client may come with another layout
            await asyncio.to_thread(remote.close)

    # --- for the server -------------------------------------------------------------------------

    async def claims(self, token: str) -> Claims:
        """Read a token; see `Hub.claims`."""
        claims = self._issuer.verify(token)
        issued_at = claims.expires_at - self._limits.token_lifetime_s
        if issued_at < self._void_before.get(claims.name, 0.0):
            raise AccessRefusedError(f"the token of {claims.name} was taken back")
        return claims

    async def join(self, request: pb.JoinRequest, peer: str) -> pb.JoinReply:
        """Bind a key to an invited name."""
        if not verify(request.public_key, request.signature, "flnb-join", request.token.encode()):
            raise AccessRefusedError("the request to join is not signed by the key that it names")
        registry, now = self._store.state, SYSTEM_CLOCK.now()
        before = await self._in_io(registry.holder, token_hash(request.token))
        record: ClientRecord = await self._in_io(
            registry.join, token_hash(request.token), request.public_key, now
        )
        if before is not None and before.public_key != record.public_key:
            self.expel(ClientId(record.name), "another key joined under this name")
        log.info("client %s joined from %s", record.name, peer)
        return pb.JoinReply(client=record.name, lab=self._store.id)

    async def challenge(self, request: pb.ChallengeRequest) -> pb.ChallengeReply:
        """Give a client something to sign."""
        return pb.ChallengeReply(nonce=self._challenges.give(request.client))

    async def sign_in(self, request: pb.SignInRequest) -> pb.SignInReply:
        """Give an access token for a signed challenge."""
        return await self._grant(request.client, request.nonce, request.signature)

    async def session(
        self,
        claims: Claims,
        notes: AsyncIterator[pb.ClientNote],
        send: Callable[[pb.CoordinatorNote], Awaitable[None]],
    ) -> None:
        """Serve one client until it goes; see `Hub.session`."""
        if claims.role != "client":
            raise AccessRefusedError(f"a {claims.role} has no session as a client")
        client = ClientId(claims.name)
        if (older := self._sessions.get(client)) is not None:
            older.end("another session of this client has begun", for_good=False)
        session = Session(client, claims.expires_at, send, self._limits)
        self._sessions[client] = session
        try:
            await session.serve(notes, self._heard)
        finally:
            if self._sessions.get(client) is session:
                del self._sessions[client]
                if session.layout_hash:
                    self._leave(session)

    async def package(self, claims: Claims, digest: bytes) -> Package:
        """The version that a client may fetch now."""
        session = self._sessions.get(ClientId(claims.name))
        found = (
            self.clients_of(session.layout_hash).package(digest)
            if session is not None and session.layout_hash
            else None
        )
        if found is None:
            raise NotFoundError("version", digest.hex()[:12])
        return found

    async def sink(self, claims: Claims, request: pb.SendRequest) -> ChunkSink:
        """Where the chunks of an offered update go."""
        key, client = Key.of(request.assignment), ClientId(claims.name)
        session = self._sessions.get(client)
        if session is None or not session.layout_hash:
            raise AccessRefusedError(f"{client} has no session")
        return self.clients_of(session.layout_hash).intake(client, key)

    # --- within ---------------------------------------------------------------------------------

    async def _heard(self, session: Session, note: pb.ClientNote) -> None:
        client = session.client
        kind = note.WhichOneof("note")
        if kind == "hello":
            if session.layout_hash:
                raise AccessRefusedError("a session has one hello")
            check_hello(note.hello)
            await self._hello(session, note.hello)
            return
        if kind == "proof":
            reply = await self._grant(client, note.proof.nonce, note.proof.signature)
            session.renewed(reply.access_token, reply.lifetime_s)
            return
        if kind == "leaving":
            session.left = True
            return
        if not session.layout_hash:
            raise AccessRefusedError("the first note of a session is a hello")
        remote = self.clients_of(session.layout_hash)
        remote.alive(client)
        if kind == "failure":
            remote.fail(client, Key.of(note.failure.assignment), story_of(note.failure))
        elif kind == "offer":
            await self._offered(session, remote, note.offer)

    async def _hello(self, session: Session, hello: pb.Hello) -> None:
        held = {Key.of(one) for one in hello.held}
        about = {"task": hello.task, "version": hello.version, "code": hello.code_digest}
        now = SYSTEM_CLOCK.now()
        registry = self._store.state
        record: ClientRecord = await self._in_io(registry.client, session.client)
        _check_welcome(record)
        if session.token_from < record.joined_at.timestamp():
            # Whoever held the key before may still have a token, and a new coordinator knows of no
            # session that it should have ended.
            raise TokenExpiredError(f"{record.name} has joined anew since this token was given")
        session.public_key = record.public_key
        await self._in_io(registry.seen, session.client, now, hello.n_examples, about)
        welcome = pb.Welcome(alive_every_s=self._limits.alive_every_s, lease_s=self._limits.lease_s)
        session.post(pb.CoordinatorNote(welcome=welcome))
        session.layout_hash = hello.layout_hash
        for key in held:
            if await self._in_io(_is_over, self._store, key):
                verdict = pb.Verdict(assignment=key.message(), kind=pb.Verdict.SETTLED)
                session.post(pb.CoordinatorNote(verdict=verdict))
        for layout, remote in self._remotes.items():
            if layout != hello.layout_hash and session.client in remote.clients:
                remote.leave(session.client, politely=False)  # it came back with another model
        self.clients_of(hello.layout_hash).arrive(session.client, hello.n_examples)

    async def _offered(self, session: Session, remote: RemoteClients, offer: pb.Offer) -> None:
        if not verify(session.public_key, offer.signature, "flnb-update", offer.envelope):
            raise AccessRefusedError("an update is not signed by the client's key")
        try:
            envelope = pb.Envelope.FromString(offer.envelope)
        except DecodeError as error:
            raise AccessRefusedError(f"an envelope cannot be read: {error}") from error
        # A full spool makes an offer wait; the session must hear other notes meanwhile.
        session.spawn(remote.offer(session.client, envelope, offer.inline))

    def _leave(self, session: Session) -> None:
        remote = self.clients_of(session.layout_hash)
        remote.leave(session.client, politely=session.left)
        if not remote.clients and not remote.on_population:
            # No task of this lab has such a model, or clients could make up layouts without end.
            del self._remotes[session.layout_hash]
            remote.close()

    def _post(self, client: ClientId, note: pb.CoordinatorNote) -> None:
        if (session := self._sessions.get(client)) is not None:
            session.post(note)

    async def _grant(self, client: str, nonce: bytes, signature: bytes) -> pb.SignInReply:
        self._challenges.check(client, nonce)
        try:
            record: ClientRecord = await self._in_io(self._store.state.client, client)
        except NotFoundError:
            raise AccessRefusedError(f"no client {client!r} has joined this lab") from None
        _check_welcome(record)
        lab = self._store.id.encode()
        if not verify(record.public_key, signature, "flnb-sign-in", lab, nonce):
            raise AccessRefusedError(f"the challenge is not signed by the key of {client!r}")
        self._challenges.check(client, nonce)  # again: it may have been used meanwhile
        self._challenges.used(nonce)
        lifetime_s = self._limits.token_lifetime_s
        token = self._issuer.issue(record.name, record.role, lifetime_s)
        return pb.SignInReply(access_token=token, lifetime_s=lifetime_s)

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            try:
                self._look_round()
                if self._sessions:
                    await self._see_revoked()
            except Exception:
                log.exception("leases and deadlines were not looked at")  # they are, in a moment

    def _look_round(self) -> None:
        """Time has passed: see whose token, lease or deadline is over."""
        if (stood_s := self._clock.tick()) >= STALL_S:
            log.warning("the loop stood still for %.1f s: leases and deadlines wait", stood_s)
            for remote in tuple(self._remotes.values()):
                remote.stalls.append(stood_s)
        now_s = SYSTEM_CLOCK.now().timestamp()
        # Four times a second over thousands of sessions: a comparison is all there is time for.
        for session in [one for one in self._sessions.values() if now_s >= one.due_at]:
            if session.must_renew(now_s):
                nonce = self._challenges.give(session.client)
                session.post(pb.CoordinatorNote(renew=pb.Renew(nonce=nonce)))
        for remote in tuple(self._remotes.values()):
            remote.tick()

    async def _see_revoked(self) -> None:
        """End sessions of clients that were revoked, by this process or another one."""
        revoked: dict[str, str] = await self._in_io(self._store.state.revoked)
        for name, reason in revoked.items():
            if ClientId(name) in self._sessions:
                self.expel(ClientId(name), f"{name} was revoked: {reason}")


def _check_welcome(record: ClientRecord) -> None:
    if record.revoked_at is not None:
        raise AccessRefusedError(f"client {record.name!r} was revoked: {record.reason}")


def _is_over(store: LabStore, key: Key) -> bool:
    """Whether nobody will ever ask for an assignment again."""
    try:
        record = store.state.run(key.run)
    except NotFoundError:
        return True
    if record.status in {"finished", "stopped"} or record.generation != key.generation:
        return True
    head = store.state.head(record.id)
    return head.closing is not None and key.round <= head.closing.round
