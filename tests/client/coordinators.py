"""A coordinator in memory, whose lines a test writes: joins, sessions, chunks, and what breaks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from flnb.client import Client
from flnb.core import Local
from flnb.core.errors import AccessRefusedError, NotFoundError, TokenExpiredError, UnreachableError
from flnb.tasks import Task
from flnb.tensors import Model
from flnb.transport.identity import verify
from flnb.transport.invite import Invite
from flnb.transport.manifest import CHUNK_BYTES, Manifest, Package
from flnb.transport.v1 import federation_pb2 as pb

LAB = "lab-7"
CLIENT = "hospital-a"
SOON_S = 20.0


@dataclass(frozen=True)
class Access:
    token: str
    lifetime_s: float = 600.0


class Line:
    """One session, from the coordinator's side."""

    def __init__(self, token: str) -> None:
        self.token = token
        self.heard: list[pb.ClientNote] = []
        self._in: asyncio.Queue[pb.ClientNote] = asyncio.Queue()
        self._out: asyncio.Queue[pb.CoordinatorNote | BaseException | None] = asyncio.Queue()
        self.ended: BaseException | None = None

    def say(self, **note) -> None:
        self._out.put_nowait(pb.CoordinatorNote(**note))

    def end(self, error: BaseException | None = None) -> None:
        self.ended = error or UnreachableError("the session has ended")
        self._out.put_nowait(error)

    async def hear(self, kind: str):
        """The next note of this kind; others are put aside."""
        while True:
            note = await asyncio.wait_for(self._in.get(), SOON_S)
            self.heard.append(note)
            if note.WhichOneof("note") == kind:
                return getattr(note, kind)

    async def silent(self, kind: str, for_s: float = 0.3) -> None:
        """Nothing of this kind comes for a while."""
        with suppress(TimeoutError):
            note = await asyncio.wait_for(self.hear(kind), for_s)
            raise AssertionError(f"heard {note}")

    # What the client calls

    async def write(self, note: pb.ClientNote) -> None:
        if self.ended:
            raise self.ended
        await asyncio.sleep(0.002)
        self._in.put_nowait(pb.ClientNote.FromString(note.SerializeToString()))

    def __aiter__(self) -> AsyncIterator[pb.CoordinatorNote]:
        return self

    async def __anext__(self) -> pb.CoordinatorNote:
        match await self._out.get():
            case None:
                raise StopAsyncIteration
            case pb.CoordinatorNote() as note:
                return pb.CoordinatorNote.FromString(note.SerializeToString())
            case error:
                raise error

    async def close(self) -> None:
        self.ended = self.ended or UnreachableError("closed")


class Coordinator:
    """Everything that outlives connections."""

    def __init__(self) -> None:
        self.joins: list[str] = []
        self.sign_ins = 0
        self.public = b""
        self.lines: asyncio.Queue[Line] = asyncio.Queue()
        self.tokens = {"token-1"}
        self.packages: dict[bytes, Package] = {}
        self.fetched: list[int] = []
        self.taken: dict[int, bytes] = {}
        self.before_join: list[BaseException] = []
        self.before_sign_in: list[BaseException] = []
        self.before_session: list[BaseException] = []
        self.before_rotation: list[BaseException] = []
        self.spoil: Callable[[int, bytes], bytes] = lambda place, data: data
        self.cut_after: list[int] = []
        """How many chunks of the next transfers get through before the connection breaks."""
        self.chunk_s = 0.0
        """How long each chunk is on its way."""
        self.place_s = 0.0
        """How long a transfer waits for a place."""
        self.cut_in_line = {"up": 0, "down": 0}
        """How many transfers break before they have one."""
        self.transfer_tokens: list[str] = []
        self.alone = False
        """Whether it says its welcome by itself, because no test plays its part."""

    async def line(self, *, alive_every_s: float = 10.0, welcome: bool = True) -> Line:
        """The next session, after its hello."""
        line = await asyncio.wait_for(self.lines.get(), SOON_S)
        line.hello = await line.hear("hello")
        if welcome:
            line.say(welcome=pb.Welcome(alive_every_s=alive_every_s, lease_s=30.0))
        return line

    def keep(self, model: Model) -> Package:
        data = model.values.tobytes() + model.integers.tobytes()
        package = Package(data, Manifest.of(data))
        self.packages[package.manifest.digest] = package
        return package


class Wire:
    """A connection to it."""

    def __init__(self, coordinator: Coordinator) -> None:
        self._at = coordinator

    async def join(self, token, identity):
        _raise_next(self._at.before_join)
        self._at.joins.append(token)
        self._at.public = identity.public
        return CLIENT, LAB

    async def sign_in(self, client, lab, identity):
        _raise_next(self._at.before_sign_in)
        self._at.sign_ins += 1
        return Access("token-1")

    async def rotate(self, client, lab, identity, fresh):
        _raise_next(self._at.before_rotation)
        if self._at.public not in {identity.public, fresh.public}:
            raise AccessRefusedError("not signed by the key")
        self._at.public = fresh.public

    def session(self, token):
        line = Line(token)
        if self._at.before_session:
            line.end(self._at.before_session.pop(0))
        elif token not in self._at.tokens:
            line.end(TokenExpiredError("too old"))
        else:
            self._at.lines.put_nowait(line)
            if self._at.alone:
                line.say(welcome=pb.Welcome(alive_every_s=10.0, lease_s=30.0))
        return line

    async def fetch(
        self, token: str, digest: bytes, chunks: Sequence[int]
    ) -> AsyncGenerator[bytes, None]:
        self._at.transfer_tokens.append(token)
        if digest not in self._at.packages:
            raise NotFoundError("version", digest.hex()[:12])
        await self._in_line("down")
        left = self._at.cut_after.pop(0) if self._at.cut_after else len(chunks)
        for place in chunks:
            if not left:
                raise UnreachableError("cut")
            left -= 1
            self._at.fetched.append(place)
            await asyncio.sleep(self._at.chunk_s)
            yield self._at.spoil(place, self._at.packages[digest].chunks([place]))

    async def send(self, token, assignment, chunks, data):
        self._at.transfer_tokens.append(token)
        await self._in_line("up")
        left = self._at.cut_after.pop(0) if self._at.cut_after else len(chunks)
        data(chunks[:1])
        for place in chunks[:left]:
            await asyncio.sleep(self._at.chunk_s)
            self._at.taken[place] = data([place])
        if left < len(chunks):
            raise UnreachableError("cut")
        return len(chunks)

    async def close(self) -> None:
        pass

    async def _in_line(self, way: str) -> None:
        await asyncio.sleep(self._at.place_s)
        if self._at.cut_in_line[way]:
            self._at.cut_in_line[way] -= 1
            raise UnreachableError("cut before its turn")


class FakeClient(Client):
    """A client whose connections lead to a coordinator in memory."""

    def __init__(self, coordinator: Coordinator, task: Task, home, **more) -> None:
        self.events = []
        more.setdefault("on_event", self.events.append)
        token = more.pop("token", "join-1")
        invite = Invite("127.0.0.1:1", LAB, CLIENT, token)
        super().__init__(invite, task, home=home, **more)
        self._coordinator = coordinator

    def _open_wire(self):
        return Wire(self._coordinator)

    def said(self, kind: str) -> list[str]:
        return [event.text for event in self.events if event.kind == kind]


@asynccontextmanager
async def running(client: Client) -> AsyncIterator[asyncio.Task[None]]:
    """The client on this loop, until the block ends."""
    task = asyncio.create_task(client.arun())
    try:
        yield task
        if task.done():
            task.result()
    finally:
        client.stop()
        with suppress(AccessRefusedError, UnreachableError):
            await asyncio.wait_for(task, SOON_S)


def play(scene: Callable[[], Awaitable[None]]) -> None:
    """Run a test's coroutine."""
    asyncio.run(scene())


def run_until_error(client: Client) -> None:
    """Run a client that ends by itself."""
    asyncio.run(asyncio.wait_for(client.arun(), SOON_S))


async def until(true: Callable[[], object]) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(SOON_S):
        while not true():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def assignment(package: Package, *, inline: bool | None = None, **changes) -> pb.Assignment:
    """One piece of work for the client, of round 3."""
    local = changes.pop("local", Local(lr=0.05, momentum=0.9, batch_size=8))
    place = {name: changes.pop(name) for name in ("run", "round", "attempt") if name in changes}
    id_ = {"run": "run", "generation": 1, "round": 3, "stage": "train", "client": CLIENT, **place}
    small = package.manifest.n_bytes <= CHUNK_BYTES if inline is None else inline
    usual = {
        "id": pb.AssignmentId(**id_),
        "seed": 7,
        "entry": "flnb.training:local_sgd",
        "local": local.model_dump_json().encode(),
        "weighting": "examples",
        "base": package.manifest.to_message(),
        "inline": bytes(package.data) if small else b"",
    }
    return pb.Assignment(**{**usual, **changes})


def verdict(of: pb.Assignment, kind: pb.Verdict.Kind.ValueType, reason: str = "") -> pb.Verdict:
    return pb.Verdict(assignment=of.id, kind=kind, reason=reason)


def checked(offer: pb.Offer, public: bytes) -> pb.Envelope:
    """The envelope of an offer, once its signature is found good."""
    assert verify(public, offer.signature, "flnb-update", offer.envelope)
    return pb.Envelope.FromString(offer.envelope)


def _raise_next(errors: list[BaseException]) -> None:
    if errors:
        raise errors.pop(0)
