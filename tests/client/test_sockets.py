"""A client over real sockets: a small hub with everything that a client needs, and TLS."""

from __future__ import annotations

import asyncio
import secrets
from contextlib import asynccontextmanager

import pytest

from flnb.client import Client
from flnb.core.errors import AccessRefusedError, NotFoundError, TokenExpiredError
from flnb.tensors import CohortSum
from flnb.transport import Claims, Limits, Server, verify
from flnb.transport.certs import Authority
from flnb.transport.invite import Invite
from flnb.transport.manifest import Manifest, Package, chunks_in
from flnb.transport.tokens import Role
from flnb.transport.v1 import federation_pb2 as pb
from tests.client.coordinators import (
    CLIENT,
    LAB,
    SOON_S,
    assignment,
    play,
    running,
    until,
    verdict,
)
from tests.client.test_bits import of_engine, update_of


class Hub:
    """A coordinator of one client, as small as it can be."""

    def __init__(self) -> None:
        self.key, self.nonce = b"", b""
        self.tokens: set[str] = set()
        self.packages: dict[bytes, Package] = {}
        self.sent: dict[int, bytes] = {}
        self.fetches = 0
        self.said: asyncio.Queue[pb.ClientNote] = asyncio.Queue()
        self.say = None
        self.closing = asyncio.Event()
        self.hellos: list[pb.Hello] = []

    async def claims(self, token):
        if token not in self.tokens:
            raise TokenExpiredError("too old")
        return Claims(CLIENT, Role.CLIENT, token, 2e9, "k", LAB)

    async def join(self, request, peer):
        if not verify(request.public_key, request.signature, "flnb-join", request.token.encode()):
            raise AccessRefusedError("not signed")
        self.key = request.public_key
        return pb.JoinReply(client=CLIENT, lab=LAB)

    async def challenge(self, request):
        self.nonce = secrets.token_bytes(32)
        return pb.ChallengeReply(nonce=self.nonce)

    async def sign_in(self, request):
        parts = LAB.encode(), self.nonce
        if not verify(self.key, request.signature, "flnb-sign-in", *parts):
            raise AccessRefusedError("not signed")
        self.tokens.add(token := secrets.token_hex(8))
        return pb.SignInReply(access_token=token, lifetime_s=600.0)

    async def session(self, claims, notes, send):
        async def listen():
            async for note in notes:
                if note.HasField("hello"):
                    self.hellos.append(note.hello)
                    self.say = send
                    welcome = pb.Welcome(alive_every_s=5.0, lease_s=30.0)
                    await send(pb.CoordinatorNote(welcome=welcome))
                self.said.put_nowait(note)

        self.closing.clear()
        listening = asyncio.create_task(listen())
        closing = asyncio.create_task(self.closing.wait())
        await asyncio.wait({listening, closing}, return_when=asyncio.FIRST_COMPLETED)
        listening.cancel()
        closing.cancel()
        self.say = None

    async def package(self, claims, digest):
        self.fetches += 1
        if digest not in self.packages:
            raise NotFoundError("version", digest.hex())
        return self.packages[digest]

    async def sink(self, claims, request):
        return self

    async def write(self, places, data):
        self.sent.update(zip(places, map(bytes, chunks_in(data)), strict=True))

    async def close(self, complete):
        pass

    async def hear(self, kind):
        while True:
            note = await asyncio.wait_for(self.said.get(), SOON_S)
            if note.WhichOneof("note") == kind:
                return getattr(note, kind)


@asynccontextmanager
async def serving(hub, tls=None, certificate=None):
    server = Server(hub, Limits())
    port = await server.start("127.0.0.1", 0, tls)
    try:
        yield Invite(f"127.0.0.1:{port}", LAB, CLIENT, "token", certificate)
    finally:
        hub.closing.set()
        await server.stop(1.0)


@pytest.mark.parametrize("encrypted", [False, True])
def test_a_round_of_a_large_model_goes_over_the_wire(wide, home, tmp_path, encrypted):
    tls = certificate = None
    if encrypted:
        authority = Authority.create(tmp_path / "tls", "lab")
        tls, certificate = authority.issue(["127.0.0.1"]), authority.certificate
    model = wide.initial_model(1)
    data = model.values.tobytes() + model.integers.tobytes()
    package = Package(data, Manifest.of(data))

    async def scene():
        hub = Hub()
        hub.packages[package.manifest.digest] = package
        events = []
        async with serving(hub, tls, certificate) as invite:
            client = Client(invite, wide, home=home, on_event=events.append)
            async with running(client):
                await hub.hear("hello")
                await hub.say(pb.CoordinatorNote(assignment=(work := assignment(package))))
                offer = await hub.hear("offer")
                wanted = pb.Wanted(assignment=work.id, chunks=range(5))
                await hub.say(pb.CoordinatorNote(wanted=wanted))
                await until(lambda: len(hub.sent) == 5)
                settled = verdict(work, pb.Verdict.SETTLED)
                await hub.say(pb.CoordinatorNote(verdict=settled))
                await until(lambda: any(event.kind == "settled" for event in events))
            await hub.hear("leaving")
        assert verify(hub.key, offer.signature, "flnb-update", offer.envelope)
        payload = b"".join(hub.sent[place] for place in range(5))
        envelope = pb.Envelope.FromString(offer.envelope)
        assert Manifest.of(payload).to_message() == envelope.update
        sums = CohortSum(wide.layout)
        sums.fold(update_of(wide, payload), envelope.n_examples)
        theirs = of_engine(wide, model).sums
        assert sums.mean().values.tobytes() == theirs.mean().values.tobytes()
        assert not list((home / "outbox").iterdir())

    play(scene)


def test_a_client_finds_its_coordinator_again_at_the_same_address(wide, home):
    async def scene():
        hub, events = Hub(), []
        async with serving(hub) as invite:
            client = Client(invite, wide, home=home, on_event=events.append)
            stays = asyncio.create_task(client.arun())
            await hub.hear("hello")
        await until(lambda: any(event.kind == "reconnecting" for event in events))
        hub.tokens.clear()
        server = Server(hub, Limits())
        await server.start("127.0.0.1", int(invite.address.rpartition(":")[2]))
        try:
            await hub.hear("hello")
            assert not stays.done()
            client.stop()
            await asyncio.wait_for(stays, SOON_S)
        finally:
            hub.closing.set()
            await server.stop(1.0)
        assert len(hub.hellos) == 2

    play(scene)


def test_a_client_that_is_shut_out_hears_why(wide, home):
    async def scene():
        hub = Hub()

        async def join(request, peer):
            raise AccessRefusedError("the invite was revoked", hint="ask for another")

        hub.join = join
        async with serving(hub) as invite:
            with pytest.raises(AccessRefusedError, match="was revoked\n→ ask for another"):
                await asyncio.wait_for(Client(invite, wide, home=home).arun(), SOON_S)

    play(scene)
