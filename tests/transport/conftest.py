"""A hub in memory behind a real server, and a link to it; tests may be coroutines."""

import asyncio
import contextlib
import inspect
from dataclasses import dataclass, field

import pytest

from flnb.core.errors import AccessRefusedError, NotFoundError
from flnb.transport import (
    PROTOCOL,
    Claims,
    Identity,
    Limits,
    Link,
    Manifest,
    Package,
    Server,
    TokenIssuer,
    chunks_in,
    verify,
)
from flnb.transport.v1 import federation_pb2 as pb


def pytest_pyfunc_call(pyfuncitem):
    """Run a test that is a coroutine on a loop of its own."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = pyfuncitem._fixtureinfo.argnames
    story = pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in names})
    asyncio.run(asyncio.wait_for(story, 60))
    return True


class MemorySink:
    """Keeps chunks; `fault` is raised by the next write."""

    def __init__(self, fault=None, hold=None):
        self.chunks, self.closed, self.fault, self.hold = {}, [], fault, hold
        self.first = asyncio.Event()
        self.over = asyncio.Event()

    async def write(self, places, data):
        if self.hold is not None:
            await self.hold.wait()
        if self.fault is not None:
            raise self.fault
        self.chunks.update(zip(places, map(bytes, chunks_in(data)), strict=True))
        self.first.set()

    async def close(self, complete):
        self.closed.append(complete)
        self.over.set()


@dataclass
class MemoryHub:
    """Knows one lab, its invites and keys, and what can be fetched; echoes what sessions say."""

    invites: dict[str, str] = field(default_factory=lambda: {"welcome": "anna"})
    keys: dict[str, bytes] = field(default_factory=dict)
    packages: dict[bytes, Package] = field(default_factory=dict)
    revoked: set[str] = field(default_factory=set)
    sinks: list[MemorySink] = field(default_factory=list)
    next_sink: MemorySink | None = None
    fault: BaseException | None = None
    """Raised by whatever is called next."""
    asked: list[str] = field(default_factory=list)
    heard: list[pb.ClientNote] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    issuer: TokenIssuer = field(
        default_factory=lambda: TokenIssuer({"k1": b"k" * 32}, "lab-1", current="k1")
    )

    def offer(self, data):
        package = Package(data, Manifest.of(data))
        self.packages[package.manifest.digest] = package
        return package.manifest

    def token(self, client="anna", lifetime_s=60.0):
        return self.issuer.issue(client, "client", lifetime_s)

    async def claims(self, token) -> Claims:
        claims = self.issuer.verify(token)
        if claims.name in self.revoked:
            raise AccessRefusedError(f"{claims.name} was revoked")
        return claims

    async def join(self, request, peer):
        self._ask(f"join from {peer}")
        signed = verify(request.public_key, request.signature, "flnb-join", request.token.encode())
        if not signed or request.token not in self.invites:
            raise AccessRefusedError("no such invite", hint="ask for another")
        name = self.invites[request.token]
        self.keys[name] = request.public_key
        return pb.JoinReply(client=name, lab="lab-1")

    async def challenge(self, request):
        self._ask("challenge")
        return pb.ChallengeReply(nonce=b"n" * 32)

    async def sign_in(self, request):
        self._ask("sign-in")
        public = self.keys.get(request.client, b"")
        if not verify(public, request.signature, "flnb-sign-in", b"lab-1", request.nonce):
            raise AccessRefusedError("not signed by its key")
        return pb.SignInReply(access_token=self.token(request.client), lifetime_s=60.0)

    async def session(self, claims, notes, send):
        self._ask("session")
        try:
            async for note in notes:
                self.heard.append(note)
                reason = note.failure.traceback or note.WhichOneof("note")
                if reason == "end":
                    return
                if reason == "stay":
                    await asyncio.Event().wait()
                if reason == "many":  # from many tasks at once, more than a connection holds
                    big = pb.CoordinatorNote(goodbye=pb.Goodbye(reason="x" * 100_000))
                    await asyncio.gather(*(send(big) for _ in range(50)))
                await send(pb.CoordinatorNote(verdict=pb.Verdict(reason=reason)))
        finally:
            self.ended.append(claims.name)

    async def package(self, claims, digest):
        self._ask("package")
        if digest not in self.packages:
            raise NotFoundError("version", digest.hex()[:8], ["version 7"])
        return self.packages[digest]

    async def sink(self, claims, request):
        self._ask("sink")
        sink, self.next_sink = self.next_sink or MemorySink(), None
        self.sinks.append(sink)
        return sink

    def _ask(self, what):
        self.asked.append(what)
        if self.fault is not None:
            fault, self.fault = self.fault, None
            raise fault


@dataclass
class Wire:
    """Both ends of a wire."""

    hub: MemoryHub
    server: Server
    link: Link
    port: int

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def other_link(self, **options):
        return Link(self.address, **options)


@contextlib.asynccontextmanager
async def served(limits=None, tls=None, client_ca=None, **options):
    hub = MemoryHub()
    server = Server(hub, limits or Limits())
    port = await server.start("127.0.0.1", 0, tls, client_ca)
    link = Link(f"127.0.0.1:{port}", **options)
    try:
        yield Wire(hub, server, link, port)
    finally:
        await link.close()
        await server.stop(0.2)


@pytest.fixture
def wire():
    """Opens a server with a hub in memory, and a link to it: `async with wire() as it`."""
    return served


@pytest.fixture
def sink_of():
    """Makes sinks that fail or wait."""
    return MemorySink


@pytest.fixture
def identity():
    return Identity.create()


@pytest.fixture
def hello():
    return pb.ClientNote(hello=pb.Hello(protocol=PROTOCOL, version="0.1.0", task="digits"))


@pytest.fixture
def work():
    return pb.AssignmentId(run="r1", round=3, client="anna")
