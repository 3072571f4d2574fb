"""Wrong bytes at every door of a real coordinator: it refuses them, stays small and serves others.

In full size more than 100,000 inputs; the same seeds in every run.
"""

import asyncio
import contextlib
import random
import socket
from collections import Counter

import pytest
from grpc import aio

from flnb.core.errors import FLBaseError
from flnb.transport import PROTOCOL, Identity, Link, Manifest
from flnb.transport.ending import Ending
from flnb.transport.v1 import federation_pb2 as pb
from tests.abuse.mutation import envelope_of, mutated, notes_of, wrong
from tests.abuse.served import honest, service
from tests.e2e.remote_client import task

METHODS = ["Join", "Challenge", "SignIn", "Session", "Fetch", "Send"]
GROWTH_MB = 32
"""What Python, protobuf and gRPC may keep for themselves after many thousand odd messages."""
LONG = pytest.mark.long, pytest.mark.timeout(1800)


def sizes(reduced, full):
    return pytest.mark.parametrize("n", [reduced, pytest.param(full, marks=LONG)])


@pytest.fixture(scope="module")
def bait(tmp_path_factory, interpreters):
    """A coordinator whose run waits for one client; bounds on the number of calls are lifted."""
    with service(interpreters, tmp_path_factory.mktemp("bait"), "softmax") as running:
        yield running


@contextlib.asynccontextmanager
async def unharmed(where, n):
    """What happens within leaves the coordinator as it was; growth counts from a tenth on."""
    grown = {}
    yield lambda done: done == n // 10 and grown.update(before_mb=where.rss_mb())
    assert where.rss_mb() - grown["before_mb"] < GROWTH_MB
    async with honest(where, "witness") as client:
        assert await client.ping_s() < 5
    assert "Traceback" not in where.log, where.log[-5000:]
    assert where.process.poll() is None


async def raw(channel, method, token, message):
    """Say something to a method; what a client of flnb would hear, or nothing."""
    metadata = aio.Metadata(("authorization", f"Bearer {token}")) if token else None
    call = channel.stream_stream(f"/flnb.v1.Federation/{method}")(metadata=metadata)
    try:
        async with asyncio.timeout(15), Ending(call, "the coordinator").in_our_words():
            await call.write(message)
            await call.done_writing()
            while await call.read() is not aio.EOF:
                pass
    except FLBaseError as error:
        return error
    except TimeoutError as unheard:
        return unheard
    finally:
        call.cancel()
    return None


def valid_messages(name, identity):
    """A valid first message of each method, as bytes."""
    work = pb.AssignmentId(run="r", round=1, client=name)
    hello = pb.Hello(protocol=PROTOCOL, layout_hash="l", n_examples=3, held=[work])
    public, signature = identity.public, identity.sign("flnb-join", b"token")
    return {
        "Join": pb.JoinRequest(
            protocol=PROTOCOL, token="token", public_key=public, signature=signature
        ),
        "Challenge": pb.ChallengeRequest(protocol=PROTOCOL, client=name),
        "SignIn": pb.SignInRequest(client=name, nonce=b"n" * 56, signature=signature),
        "Session": pb.ClientNote(hello=hello),
        "Fetch": pb.FetchRequest(digest=b"d" * 32, chunks=range(20)),
        "Send": pb.SendRequest(assignment=work, chunks=range(20)),
    }


@sizes(1200, 50_000)
async def test_wrong_messages_to_every_method_are_refused(bait, n):
    chance = random.Random(1)
    async with unharmed(bait, n) as at, honest(bait, "doors") as client:
        valid = valid_messages("doors", client.identity)
        heard = Counter()
        for done in range(0, n, 10):
            method = METHODS[done // 10 % len(METHODS)]
            token = chance.choice([client.token, "", "a.b.c", client.token])
            inputs = [
                chance.randbytes(chance.randrange(400))
                if chance.random() < 0.2
                else wrong(chance, valid[method])
                for _ in range(10)
            ]
            async with aio.insecure_channel(bait.address) as channel:
                ends = await asyncio.gather(*(raw(channel, method, token, x) for x in inputs))
            heard.update(type(end).__name__ for end in ends)
            assert not [end for end in ends if "the coordinator failed" in str(end)]
            at(done)
    assert heard["IntegrityError"] > n // 10
    assert not heard["TimeoutError"]
    assert heard["AccessRefusedError"] > n // 10


class Insider:
    """A client of the lab that knows the model, is asked to train, and says wrong things."""

    def __init__(self, where, name, identity):
        self.where, self.name, self.identity = where, name, identity
        self.layout = task("softmax", 1).layout
        self.update = bytes(4 * self.layout.n_values + 8 * self.layout.n_integers)
        self.work = pb.Assignment(id=pb.AssignmentId(run="r", client=name))
        self.call, self.link, self.n_said = None, None, 0

    async def enter(self):
        """Connect and open a session, as a client does that comes back."""
        self.link = Link(self.where.address)
        token = (await self.link.sign_in(self.name, self.where.lab.store.id, self.identity)).token
        session = self.link.session(token)
        hello = pb.Hello(protocol=PROTOCOL, layout_hash=self.layout.hash, n_examples=3)
        await session.write(pb.ClientNote(hello=hello))
        assert (await anext(aiter(session))).WhichOneof("note") == "welcome"
        self.call = session._call  # below the link, where anything can be said

    async def leave(self):
        if self.link is not None:
            await self.link.close()
        self.link = self.call = None

    def offer(self, chance=None):
        """An offer for the open assignment; made wrong by chance, and validly signed after that."""
        manifest = Manifest.of(self.update).to_message()
        base = Manifest.from_message(self.work.base).digest if self.work.base.hashes else b"b" * 32
        good = envelope_of(self.work.id, base, manifest)
        envelope = wrong(chance, good) if chance else good.SerializeToString()
        return self._signed(envelope, self.update)

    async def try_note(self, raw_note):
        """Say something and wait until it was dealt with: by an answer to what comes after it.

        Returns:
            False if it ended the session.
        """
        if self.call is None:
            await self.enter()
        self.n_said += 1
        lost = pb.AssignmentId(run="lost", round=self.n_said, client=self.name)
        offer = self._signed(pb.Envelope(assignment=lost).SerializeToString())
        try:
            async with asyncio.timeout(15):
                await self.call.write(raw_note)
                await self.call.write(pb.ClientNote(offer=offer).SerializeToString())
                await self._answered(lost)
        except (aio.AioRpcError, asyncio.InvalidStateError, EOFError):
            await self.leave()
            return False
        return True

    async def _answered(self, lost):
        while (data := await self.call.read()) is not aio.EOF:
            note = pb.CoordinatorNote.FromString(data)
            if note.HasField("assignment"):
                self.work = note.assignment
            if note.HasField("verdict") and note.verdict.assignment == lost:
                return
        raise EOFError

    def _signed(self, envelope, inline=b""):
        signature = self.identity.sign("flnb-update", envelope)
        return pb.Offer(envelope=envelope, signature=signature, inline=inline)


@contextlib.asynccontextmanager
async def insider(where):
    invite, identity = where.invite("insider"), Identity.create()
    link = Link(where.address)
    await link.join(invite.token, identity)
    await link.close()
    one = Insider(where, "insider", identity)
    try:
        yield one
    finally:
        await one.leave()


@sizes(400, 30_000)
async def test_wrong_notes_in_a_session_end_it_or_are_passed_over(bait, n):
    chance = random.Random(2)
    async with unharmed(bait, n) as at, insider(bait) as one:
        lived = 0
        for done in range(n):
            valid = chance.choice(notes_of(one.work.id, one.offer()))
            lived += await one.try_note(wrong(chance, valid))
            at(done)
    assert 0 < lived < n


@sizes(300, 25_000)
async def test_wrong_envelopes_that_are_validly_signed_do_not_count(bait, n):
    chance = random.Random(3)
    async with unharmed(bait, n) as at, insider(bait) as one:
        for done in range(n):
            await one.try_note(pb.ClientNote(offer=one.offer(chance)).SerializeToString())
            at(done)


PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
SETTINGS = b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"
PATH = b"/flnb.v1.Federation/Challenge"
HEADERS = (
    b"\x83\x86\x41\x01x\x04" + bytes([len(PATH)]) + PATH + b"\x5f\x10application/grpc"
    b"\x40\x02te\x08trailers"
)
REQUEST = (
    PREFACE
    + SETTINGS
    + bytes([0, 0, len(HEADERS), 1, 4, 0, 0, 0, 1])
    + HEADERS
    + b"\x00\x00\x0b\x00\x01\x00\x00\x00\x01\x00\x00\x00\x00\x06\x08"
    + bytes([PROTOCOL])
    + b"\x12\x02ab"
)


def shout(port, data):
    """Say something to the bare port and hang up, at once or after a first answer."""
    with socket.create_connection(("127.0.0.1", port), 5) as line, contextlib.suppress(OSError):
        line.sendall(data)
        line.settimeout(0.02)
        return line.recv(4096)
    return b""


def test_the_request_that_is_made_wrong_below_is_a_good_one(bait):
    answer = b""
    with socket.create_connection(("127.0.0.1", bait.port), 5) as line:
        line.sendall(REQUEST)
        while b"\x0a\x38" not in answer:  # a nonce of 56 bytes
            answer += line.recv(4096)


@sizes(500, 10_000)
async def test_bytes_that_are_no_grpc_do_no_harm(bait, n):
    chance = random.Random(4)
    others = [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00", b"\x00" * 100]
    async with unharmed(bait, n) as at:
        for done in range(0, n, 10):
            inputs = [
                chance.randbytes(chance.randrange(1, 3000))
                if chance.random() < 0.2
                else mutated(chance, chance.choice([REQUEST, REQUEST, *others]))
                for _ in range(10)
            ]
            await asyncio.gather(*(asyncio.to_thread(shout, bait.port, x) for x in inputs))
            at(done)
