import asyncio

import pytest

from flnb.core.errors import UnreachableError
from flnb.transport.listening import Listening


async def silent(listening, begun):
    async with listening.turn():
        begun.append(True)
        await asyncio.Event().wait()


async def test_who_says_nothing_makes_room_for_whoever_comes(wire):
    listening, begun = Listening(3), []
    silents = [asyncio.create_task(silent(listening, begun)) for _ in range(3)]
    await asyncio.sleep(0)
    assert len(begun) == 3
    async with listening.turn():
        with pytest.raises(UnreachableError, match="more than 3 others have come"):
            await silents[0]
    assert not silents[1].done()
    for one in silents[1:]:
        one.cancel()
    await asyncio.wait(silents)
    assert not listening._open


async def test_a_hundred_silent_calls_do_not_keep_a_client_from_joining(wire, identity):
    async with wire() as it:
        strangers = [it.other_link() for _ in range(10)]
        for stranger in strangers:
            for _ in range(10):
                stranger._channel.stream_stream("/flnb.v1.Federation/Challenge")()
        await asyncio.sleep(0.2)
        async with asyncio.timeout(3):
            assert await it.link.join("welcome", identity) == ("anna", "lab-1")
        for stranger in strangers:
            await stranger.close()
