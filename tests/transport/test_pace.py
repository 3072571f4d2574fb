"""How quick a line is; and slow lines keep nobody waiting."""

import asyncio
from contextlib import AsyncExitStack

from flnb.transport import CHUNK_BYTES
from flnb.transport.manifest import BUNDLE_CHUNKS
from flnb.transport.pace import Pace
from flnb.transport.places import FEW
from flnb.transport.v1 import federation_pb2 as pb


def test_a_slow_line_moves_in_small_messages_until_it_is_quick_for_a_while():
    pace = Pace()
    assert (pace.slow, pace.chunks) == (False, BUNDLE_CHUNKS)
    pace.took(BUNDLE_CHUNKS, 0.1)
    assert (pace.slow, pace.chunks) == (True, 1)
    pace.took(1, 0.0)
    assert pace.slow, "a buffer was empty"
    for _ in range(10):
        pace.took(1, 0.0)
    assert (pace.slow, pace.chunks) == (False, BUNDLE_CHUNKS)


def test_a_doubted_line_is_slow_until_more_went_over_it_than_buffers_take_in():
    pace, sent = Pace(doubted=True), 0
    while pace.chunks == 1:
        pace.took(1, 0.0)
        sent += CHUNK_BYTES
    assert 1_200_000 < sent < 3_000_000


async def test_who_does_not_read_a_version_keeps_nobody_from_fetching_it(wire):
    async with wire() as it, AsyncExitStack() as others, asyncio.timeout(20):
        data = bytes(100 * CHUNK_BYTES)
        digest = it.hub.offer(data).digest
        for number in range(FEW + 1):
            link, token = it.other_link(), it.hub.token(f"stuck-{number}")
            others.push_async_callback(link.close)
            unread = link.fetch(token, digest, range(100))
            others.push_async_callback(unread.aclose)  # which keeps it open until then
            await anext(unread)
        fetched = it.link.fetch(it.hub.token(), digest, range(100))
        assert b"".join([some async for some in fetched]) == data


async def test_who_sends_nothing_keeps_nobody_from_sending(wire, work):
    async with wire() as it, asyncio.timeout(20):
        link, silent = it.other_link(), []
        for number in range(FEW + 1):
            metadata = (("authorization", f"Bearer {it.hub.token(f'silent-{number}')}"),)
            call = link._channel.stream_stream("/flnb.v1.Federation/Send")(metadata=metadata)
            silent.append(call)  # one that nobody holds is cancelled
            await call.write(pb.SendRequest(chunks=range(100)).SerializeToString())
        while len(it.hub.sinks) < FEW + 1:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        sent = it.link.send(it.hub.token(), work, [0], lambda _: bytes(CHUNK_BYTES))
        assert await sent == 1
        await link.close()
