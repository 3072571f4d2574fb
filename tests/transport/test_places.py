"""Places for transfers: few on quick lines, others beside slow ones, none for who stands still."""

import asyncio

import pytest

from flnb.core.errors import UnreachableError
from flnb.transport import CHUNK_BYTES, Limits
from flnb.transport.places import Places
from flnb.transport.v1 import federation_pb2 as pb


async def nothing():
    await asyncio.Event().wait()


async def silent(places, begun):
    async with places.place() as place:
        begun.append(True)
        await place.receive(nothing)


async def chunk():
    await asyncio.sleep(0.001)
    return bytes(CHUNK_BYTES)


async def busy(places, go_on, begun=None):
    async with places.place() as place:
        if begun is not None:
            begun.append(place)
        while not go_on.is_set():
            await place.receive(chunk)


async def test_a_silent_upload_keeps_its_place_until_somebody_waits():
    places, begun = Places(1, still_s=0.02), []
    first = asyncio.create_task(silent(places, begun))
    await asyncio.wait([first], timeout=0.1)
    assert (begun, first.done()) == ([True], False)
    async with places.place():
        with pytest.raises(UnreachableError, match=r"nothing was sent for 0\.02 s"):
            await first


async def test_an_upload_that_moves_keeps_its_place_however_many_wait():
    places, go_on = Places(1, still_s=0.5), asyncio.Event()
    tasks = [asyncio.create_task(busy(places, go_on)) for _ in range(3)]
    await asyncio.wait(tasks, timeout=0.7)
    assert not any(task.done() for task in tasks)
    go_on.set()
    await asyncio.gather(*tasks)


async def test_who_stopped_waiting_leaves_the_others_in_peace():
    places, begun = Places(1, still_s=0.1), []
    first = asyncio.create_task(silent(places, begun))
    waiting = asyncio.create_task(silent(places, begun))
    await asyncio.wait([waiting], timeout=0.02)
    waiting.cancel()
    await asyncio.wait([waiting])
    await asyncio.wait([first], timeout=0.2)
    assert not first.done()
    first.cancel()
    await asyncio.wait([first])


async def test_who_hangs_up_while_another_one_ends_breaks_nothing():
    places, end = Places(1), asyncio.Event()
    tasks = [asyncio.create_task(busy(places, end)) for _ in range(3)]
    await asyncio.sleep(0.01)
    for task in tasks[:2]:  # in the same turn of the loop, as when their connection breaks
        task.cancel()
    end.set()
    first, second, third = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(first, asyncio.CancelledError)
    assert isinstance(second, asyncio.CancelledError)
    assert third is None


async def test_silent_uploads_do_not_keep_a_client_from_sending(wire, work):
    async with wire(Limits(uploads=4, still_upload_s=0.2)) as it:
        link, calls = it.other_link(), []
        for number in range(4):
            metadata = (("authorization", f"Bearer {it.hub.token(f'silent-{number}')}"),)
            call = link._channel.stream_stream("/flnb.v1.Federation/Send")(metadata=metadata)
            await call.write(pb.SendRequest(chunks=[0]).SerializeToString())
            calls.append(call)
        async with asyncio.timeout(3):
            while len(it.hub.sinks) < 4:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            sent = it.link.send(it.hub.token(), work, [0], lambda _: bytes(CHUNK_BYTES))
            assert await sent == 1
        await link.close()


async def test_few_begin_on_quick_lines_and_each_that_ends_lets_one_in():
    places, begun = Places(5, still_s=5, quick=2), []
    ends = [asyncio.Event() for _ in range(4)]
    tasks = [asyncio.create_task(busy(places, end, begun)) for end in ends]
    await asyncio.wait(tasks, timeout=0.03)
    assert len(begun) == 2
    ends[0].set()
    await tasks[0]
    await asyncio.wait(tasks[1:], timeout=0.03)
    assert len(begun) == 3
    for end in ends:
        end.set()
    await asyncio.gather(*tasks)


async def test_others_begin_beside_those_on_slow_lines_up_to_all_places():
    places, begun = Places(3, still_s=5, quick=1), []
    tasks = [asyncio.create_task(silent(places, begun)) for _ in range(5)]
    await asyncio.wait(tasks, timeout=0.5)
    assert len(begun) == 3
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


async def test_who_has_waited_for_long_begins_beside_those_on_quick_lines():
    places, begun, end = Places(quick=1, patience_s=0.05), [], asyncio.Event()
    tasks = [asyncio.create_task(busy(places, end, begun)) for _ in range(3)]
    await asyncio.wait(tasks, timeout=0.02)
    assert len(begun) == 1
    async with asyncio.timeout(5):
        while len(begun) < 3:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    end.set()
    await asyncio.gather(*tasks)


async def test_it_is_told_of_each_that_leaves_how_many_there_have_been():
    told, end = [], asyncio.Event()
    places = Places(1, when_left=told.append)
    tasks = [asyncio.create_task(busy(places, end)) for _ in range(3)]
    await asyncio.sleep(0)
    end.set()
    await asyncio.gather(*tasks)
    async with places.place():
        pass
    assert told == [1, 2, 3, 1]


async def test_an_upload_sends_nothing_before_it_has_a_place(wire, work):
    async with wire(Limits(uploads=1)) as it, asyncio.timeout(10):
        first = it.other_link()
        read = []

        def data(places):
            read.extend(places)
            return bytes(CHUNK_BYTES * len(places))

        metadata = (("authorization", f"Bearer {it.hub.token('silent')}"),)
        call = first._channel.stream_stream("/flnb.v1.Federation/Send")(metadata=metadata)
        await call.write(pb.SendRequest(chunks=[0]).SerializeToString())
        await call.initial_metadata()
        sending = asyncio.create_task(it.link.send(it.hub.token(), work, range(8), data))
        await asyncio.wait([sending], timeout=0.3)
        assert read == []
        call.cancel()
        assert await sending == 8
        await first.close()
