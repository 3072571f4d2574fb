"""Things that are too large, or say so: refused before they take memory."""

import asyncio
import contextlib
import socket
import struct

import pytest
from grpc import aio

from flnb.core.errors import AccessRefusedError, FLBaseError, IntegrityError
from flnb.transport import CHUNK_BYTES, PROTOCOL
from flnb.transport.ending import Ending
from flnb.transport.v1 import federation_pb2 as pb
from tests.abuse.served import honest

TEN_GB = 10 * 10**9
GROWTH_MB = 16


@contextlib.asynccontextmanager
async def small(served):
    """What happens within takes less than 16 MB, and the honest are served after it."""
    async with honest(served, "witness") as client:
        await client.ping_s()
        before_mb = served.rss_mb()
        yield client
        assert served.rss_mb() - before_mb < GROWTH_MB
        assert await client.ping_s() < 5


async def refused(client, method, message, token=None):
    """How a call with one message ends."""
    headers = aio.Metadata(("authorization", f"Bearer {token}")) if token else None
    async with aio.insecure_channel(client.link.address) as channel:
        call = channel.stream_stream(f"/flnb.v1.Federation/{method}")(metadata=headers)
        try:
            async with Ending(call, "it").in_our_words():
                await call.write(message)
                await call.read()
        except FLBaseError as error:
            return error
        finally:
            call.cancel()
    pytest.fail("it was taken")


def frame(kind, flags, stream, body):
    """One frame of HTTP/2."""
    return (
        struct.pack(">I", len(body))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + body
    )


def literal(name, value):
    return bytes([0, len(name)]) + name + bytes([len(value)]) + value


def call_with(method, *headers):
    """The bytes of a call by hand, up to its headers."""
    path = f"/flnb.v1.Federation/{method}".encode()
    known = b"\x83\x86" + literal(b":authority", b"x") + literal(b":path", path)
    known += literal(b"content-type", b"application/grpc") + literal(b"te", b"trailers")
    block = known + b"".join(literal(*header) for header in headers)
    return b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0, b"") + frame(1, 4, 1, block)


def answer_to(port, *pieces):
    """What comes back for bytes by hand until the line is closed or nothing more comes."""
    heard = b""
    with socket.create_connection(("127.0.0.1", port), 5) as line:
        line.settimeout(0.3)
        with contextlib.suppress(OSError):
            for piece in pieces:
                line.sendall(piece)
            while data := line.recv(65536):
                heard += data
    return heard


async def test_a_manifest_of_10_gb_takes_no_room(served):
    async with small(served) as client:
        work = pb.AssignmentId(run="r", client="witness")
        update = pb.Manifest(n_bytes=TEN_GB, hashes=bytes(32))
        envelope = pb.Envelope(assignment=work, update=update, n_examples=1).SerializeToString()
        signature = client.identity.sign("flnb-update", envelope)
        offer = pb.Offer(envelope=envelope, signature=signature)
        await client.call.write(pb.ClientNote(offer=offer))
        note = await anext(aiter(client.call))
        assert note.verdict.kind == pb.Verdict.SETTLED  # there is no such run; see test_two_updates


async def test_chunks_beyond_the_largest_model_are_refused(served):
    async with small(served) as client:
        places = [0, TEN_GB // CHUNK_BYTES]
        request = pb.SendRequest(assignment=pb.AssignmentId(run="r"), chunks=places)
        error = await refused(client, "Send", request.SerializeToString(), client.token)
        assert isinstance(error, IntegrityError)
        assert "chunk" in str(error)


@pytest.mark.parametrize("method", ["Challenge", "Session", "Send"])
async def test_a_length_that_lies_about_gigabytes_takes_no_memory(served, method):
    async with small(served) as client:
        token = (b"authorization", b"Bearer x") if method in {"Session", "Send"} else (b"a", b"b")
        for announced in (0xFFFFFFFF, 0x80000000, 5 * 2**20):
            prefix = b"\x00" + struct.pack(">I", announced)
            data = frame(0, 0, 1, prefix + bytes(8000))
            size = str(TEN_GB).encode()
            start = call_with(method, (b"content-length", size), token)
            assert answer_to(served.port, start, data)
        assert await client.ping_s() < 5


async def test_headers_above_the_bound_are_refused(served):
    async with small(served):
        flood = [frame(9, 0, 1, literal(b"x" * 60, b"y" * 120) * 80) for _ in range(70)]  # 1 MB
        unfinished = call_with("Join").replace(b"\x01\x04\x00\x00", b"\x01\x00\x00\x00", 1)
        answer_to(served.port, unfinished, *flood)


async def test_a_message_above_the_bound_is_refused_before_it_is_read(served):
    async with small(served) as client:
        for method in ("Challenge", "Join", "SignIn"):
            error = await refused(client, method, bytes(8 * 2**20))
            assert "too long" in str(error)


async def test_a_name_of_megabytes_stays_nowhere(served):
    async with honest(served, "asker") as client:
        asked = pb.ChallengeRequest(protocol=PROTOCOL, client="x" * (3 * 2**20))

        async def ask(times):
            for _ in range(times):
                with pytest.raises(AccessRefusedError, match="at most 64 characters"):
                    await client.link._ask("Challenge", asked, pb.ChallengeReply)
            return served.rss_mb()

        warm_mb = await ask(40)  # gRPC and Python keep what they needed once
        assert await ask(40) - warm_mb < GROWTH_MB


async def test_an_upload_of_200_mb_without_a_token_is_refused_unread(served):
    async with small(served) as client:
        for metadata in (None, aio.Metadata(("authorization", "Bearer a.b.c"))):
            async with aio.insecure_channel(client.link.address) as channel:
                call = channel.stream_unary("/flnb.v1.Federation/Send")(metadata=metadata)
                sent = 0
                with contextlib.suppress(aio.AioRpcError, asyncio.InvalidStateError):
                    while sent < 200_000_000:
                        await call.write(bytes(CHUNK_BYTES))
                        sent += CHUNK_BYTES
                assert sent < 10_000_000
                call.cancel()


async def test_a_hello_that_makes_up_models_leaves_nothing(served):
    async with honest(served, "maker", layout="l0") as client:
        await client.ping_s()
        threads = served.threads()
        for number in range(40):
            await client.call.close()
            await client.enter(layout=f"made up {number}")
        assert served.threads() <= threads + 2
        with pytest.raises(IntegrityError, match="layout_hash of a hello has 3,000,000"):
            await client.enter(layout="x" * 3_000_000)
