"""Transfers take turns: what is under way is bounded, and slow lines keep nobody waiting."""

import asyncio
from contextlib import AsyncExitStack

from flnb.transport import CHUNK_BYTES
from flnb.transport.manifest import BUNDLE_CHUNKS
from flnb.transport.pace import TURNS, Pace
from flnb.transport.v1 import federation_pb2 as pb


async def test_however_many_transfers_run_few_messages_are_under_way():
    turns, under_way, most = asyncio.Semaphore(TURNS), 0, 0

    async def transfer():
        nonlocal under_way, most
        pace = Pace(turns)
        for _ in range(5):
            async with pace.message():
                under_way += 1
                most = max(most, under_way)
                await asyncio.sleep(0)
                under_way -= 1

    await asyncio.gather(*(transfer() for _ in range(50)))
    assert most == TURNS


async def test_a_message_that_takes_long_loses_its_turn_to_others():
    turns = asyncio.Semaphore(1)
    async with Pace(turns).message() as stuck, asyncio.timeout(5):
        async with Pace(turns).message():
            pass
        stuck.end()  # it is over, and gives nothing back twice
    await turns.acquire()
    assert turns.locked()


async def test_a_slow_line_moves_by_itself_in_small_messages_until_it_is_quick_for_a_while():
    turns = asyncio.Semaphore(1)
    pace = Pace(turns)
    assert (pace.slow, pace.chunks) == (False, BUNDLE_CHUNKS)
    pace.took(BUNDLE_CHUNKS, 0.1)
    async with Pace(turns).message(), pace.message():
        assert (pace.slow, pace.chunks) == (True, 1)
    pace.took(1, 0.0)
    assert pace.slow, "a buffer was empty"
    for _ in range(10):
        pace.took(1, 0.0)
    assert (pace.slow, pace.chunks) == (False, BUNDLE_CHUNKS)


async def test_who_does_not_read_a_version_keeps_nobody_from_fetching_it(wire):
    async with wire() as it, AsyncExitStack() as others, asyncio.timeout(20):
        data = bytes(100 * CHUNK_BYTES)
        digest = it.hub.offer(data).digest
        for number in range(TURNS + 1):
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
        for number in range(TURNS + 1):
            metadata = (("authorization", f"Bearer {it.hub.token(f'silent-{number}')}"),)
            call = link._channel.stream_stream("/flnb.v1.Federation/Send")(metadata=metadata)
            silent.append(call)  # one that nobody holds is cancelled
            await call.write(pb.SendRequest(chunks=[0]).SerializeToString())
        while len(it.hub.sinks) < TURNS + 1:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        sent = it.link.send(it.hub.token(), work, [0], lambda _: bytes(CHUNK_BYTES))
        assert await sent == 1
        await link.close()
