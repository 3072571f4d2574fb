"""A front without sockets: a lab, its one thread for databases, and clients that come and go."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, closing, contextmanager
from datetime import timedelta

import numpy as np

from flnb.coordinator.listening import issuer_of
from flnb.coordinator.remote.front import Front
from flnb.coordinator.remote.work import Key, payload
from flnb.core.clock import SYSTEM_CLOCK
from flnb.core.ids import ClientId, RunId
from flnb.core.messages import ClientHalf, Work
from flnb.core.plan import Local
from flnb.store import InviteRecord, LabStore
from flnb.tensors import Layout, Model
from flnb.transport import PROTOCOL, Identity, Limits, Manifest
from flnb.transport.invite import token_hash
from flnb.transport.v1 import federation_pb2 as pb

LAYOUT = Layout.of([("w", (4,), "float32", "parameter")])
BASE = Model(LAYOUT, np.zeros(LAYOUT.n_values, np.float32), np.zeros(0, np.int64))
NAME = ClientId("a")


def work(deadline_s=None):
    half = ClientHalf("m:f", Local(epochs=1))
    return Work(RunId("r"), 1, 1, 0, "train", (NAME,), half, "equal", deadline_s=deadline_s)


async def until(true, within_s=10):
    async with asyncio.timeout(within_s):
        while not true():  # noqa: ASYNC110
            await asyncio.sleep(0.001)


class Door:
    """The front of a lab, and what lies behind it."""

    def __init__(self, store):
        self.store, self.identity = store, Identity.create()
        self._thread = ThreadPoolExecutor(1)
        self.front = Front(store, issuer_of(store), Limits(), self.in_io)

    async def in_io(self, work, *arguments):
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, *arguments)

    @contextmanager
    def busy(self):
        """Let something keep the thread for databases busy."""
        done = threading.Event()
        self._thread.submit(done.wait, 30)
        try:
            yield
        finally:
            done.set()

    async def join(self, name=NAME):
        now = SYSTEM_CLOCK.now()
        token = f"for {name} at {now}"
        until = now + timedelta(hours=1)
        self.store.state.add_invite(InviteRecord(token_hash(token), name, "client", now, until))
        public, signature = self.identity.public, self.identity.sign("flnb-join", token.encode())
        await self.front.join(
            pb.JoinRequest(token=token, public_key=public, signature=signature), "here"
        )

    async def sign_in(self):
        """What the token says that the client is given now."""
        nonce = (await self.front.challenge(pb.ChallengeRequest(client=NAME))).nonce
        signature = self.identity.sign("flnb-sign-in", self.store.id.encode(), nonce)
        asked = pb.SignInRequest(client=NAME, nonce=nonce, signature=signature)
        self.claims = await self.front.claims((await self.front.sign_in(asked)).access_token)

    def rotate(self, at):
        """Let the client have another key, without a word to the front, as another process would."""
        fresh = Identity.create()
        self.store.state.rotate(NAME, self.identity.public, fresh.public, at)
        self.identity = fresh

    async def close(self):
        await self.front.close()
        self._thread.shutdown()


@asynccontextmanager
async def door(folder):
    """Open a lab to clients; one has joined."""
    with closing(LabStore.open(folder / "lab")) as store:
        opened = Door(store)
        try:
            await opened.join()
            await opened.sign_in()
            yield opened
        finally:
            await opened.close()


class Visit:
    """One session of a client, as the transport hands it over."""

    def __init__(self, door, *, reads=True):
        self._identity, self._reads = door.identity, reads
        self._said, self.heard = asyncio.Queue(), []
        session = door.front.session(door.claims, self._notes(), self._send)
        self.over = asyncio.create_task(session)

    async def _notes(self):
        while (note := await self._said.get()) is not None:
            yield note

    async def _send(self, note):
        self.heard.append(
            pb.CoordinatorNote.FromString(note.SerializeToString()).WhichOneof("note")
        )
        if not self._reads:
            await asyncio.Event().wait()

    def say(self, **note):
        self._said.put_nowait(pb.ClientNote(**note))

    def hello(self, layout=LAYOUT.hash):
        self.say(hello=pb.Hello(protocol=PROTOCOL, layout_hash=layout, n_examples=5))

    def offer(self, work):
        """Offer an update that may count."""
        key = Key(work.run, work.generation, work.round, work.attempt, work.stage, NAME)
        data = payload(BASE)
        manifest = Manifest.of(data)
        envelope = pb.Envelope(
            assignment=key.message(), base_digest=manifest.digest, update=manifest.to_message()
        )
        envelope.n_examples, envelope.loss = 5, 1.0
        signed = envelope.SerializeToString()
        signature = self._identity.sign("flnb-update", signed)
        self.say(offer=pb.Offer(envelope=signed, signature=signature, inline=bytes(data)))

    def hang_up(self):
        self._said.put_nowait(None)
