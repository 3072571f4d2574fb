"""Places for transfers: few while they move much, more while they move little, none for who stands still."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from flnb.core.errors import AccessRefusedError, UnreachableError
from flnb.transport import CHUNK_BYTES, Limits, room
from flnb.transport import places as places_module
from flnb.transport.manifest import BUNDLE_CHUNKS
from flnb.transport.places import Places, Traffic
from flnb.transport.v1 import federation_pb2 as pb


async def nothing():
    await asyncio.Event().wait()


async def until(true):
    async with asyncio.timeout(20):
        while not true():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


async def silent(places, begun):
    async with places.place(99) as place:
        begun.append(True)
        await place.receive(nothing)


async def chunk():
    await asyncio.sleep(0.001)
    return bytes(CHUNK_BYTES)


async def busy(places, go_on, begun=None):
    async with places.place(99) as place:
        if begun is not None:
            begun.append(place)
        while not go_on.is_set():
            await place.receive(chunk)


async def test_a_silent_upload_keeps_its_place_until_somebody_waits():
    places, begun = Places(1, still_s=0.02), []
    first = asyncio.create_task(silent(places, begun))
    await asyncio.wait([first], timeout=0.1)
    assert (begun, first.done()) == ([True], False)
    async with places.place(99):
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


async def test_few_begin_while_they_move_much_and_each_that_ends_lets_one_in(monkeypatch):
    monkeypatch.setattr(room, "_LITTLE_BYTES_PER_S", 1)
    monkeypatch.setattr(room, "_NOTHING_BYTES_PER_S", 0)
    places, begun = Places(5, still_s=5, few=2), []
    ends = [asyncio.Event() for _ in range(4)]
    tasks = [asyncio.create_task(busy(places, end, begun)) for end in ends]
    await asyncio.wait(tasks, timeout=4 * room.LOOK_S)
    assert len(begun) == 2
    ends[0].set()
    await tasks[0]
    await until(lambda: len(begun) == 3)
    for end in ends:
        end.set()
    await asyncio.gather(*tasks)


async def test_others_begin_while_little_is_moved_up_to_all_places():
    places, begun = Places(3, still_s=60, few=1), []
    tasks = [asyncio.create_task(silent(places, begun)) for _ in range(5)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert len(begun) == 1
    await until(lambda: len(begun) == 3)
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


async def test_after_a_slow_crowd_the_next_one_begins_with_few(monkeypatch):
    monkeypatch.setattr(room, "LOOK_S", 0.02)
    monkeypatch.setattr(places_module, "LOOK_S", 0.02)
    places = Places(few=1)
    for _ in range(2):
        begun = []
        tasks = [asyncio.create_task(silent(places, begun)) for _ in range(8)]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert len(begun) == 1
        await until(lambda begun=begun: len(begun) == 8)
        await asyncio.sleep(0.1)  # a look at which nobody waits
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def test_those_that_stand_still_keep_nobody_out_whatever_the_other_way_moves():
    traffic, begun, go_on = Traffic(), [], asyncio.Event()
    ways = Places(few=1, traffic=traffic), Places(few=1, traffic=traffic)
    tasks = [asyncio.create_task(busy(ways[0], go_on))]
    tasks += [asyncio.create_task(silent(ways[1], begun)) for _ in range(3)]
    await until(lambda: len(begun) == 3)
    go_on.set()
    for task in tasks[1:]:
        task.cancel()
    await asyncio.wait(tasks)


async def test_who_does_not_hear_that_it_waits_delays_nobody(monkeypatch):
    monkeypatch.setattr(places_module, "_TELL_S", 0.01)
    places, told, end = Places(1), [], asyncio.Event()

    async def deaf():
        told.append(True)
        await nothing()

    async def waits():
        async with places.place(9, deaf) as place:
            await place.give(nothing, 1)

    first = asyncio.create_task(busy(places, end))
    await asyncio.sleep(0)
    second = asyncio.create_task(waits())
    await until(lambda: told)
    third = asyncio.create_task(busy(places, end))
    end.set()
    await first
    await asyncio.wait([third], timeout=0.05)
    assert not third.done()
    second.cancel()  # as its lease does
    await third


async def test_of_short_transfers_as_many_begin_as_have_the_chunks_of_a_few_long_ones():
    places, begun = Places(few=2), []

    async def short():
        async with places.place(1) as place:
            begun.append(place)
            await nothing()

    tasks = [asyncio.create_task(short()) for _ in range(20)]
    await asyncio.wait(tasks, timeout=0.05)
    assert len(begun) == 2 * BUNDLE_CHUNKS
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


async def test_it_is_told_of_each_that_leaves_how_many_there_have_been():
    told, end = [], asyncio.Event()
    places = Places(1, when_left=told.append)
    tasks = [asyncio.create_task(busy(places, end)) for _ in range(3)]
    await asyncio.sleep(0)
    end.set()
    await asyncio.gather(*tasks)
    async with places.place(99):
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


async def test_a_client_that_waits_for_a_version_hears_that_the_line_is_alive(wire, monkeypatch):
    monkeypatch.setattr(places_module, "_TELL_S", 0.05)
    monkeypatch.setattr(room, "_LITTLE_BYTES_PER_S", 0)
    monkeypatch.setattr(room, "_NOTHING_BYTES_PER_S", 0)
    async with wire() as it, AsyncExitStack() as others, asyncio.timeout(20):
        data = bytes(100 * CHUNK_BYTES)
        digest = it.hub.offer(data).digest
        for number in range(places_module.FEW):
            other, token = it.other_link(), it.hub.token(f"unread-{number}")
            others.push_async_callback(other.close)
            unread = other.fetch(token, digest, range(100))
            others.push_async_callback(unread.aclose)
            await anext(unread)
        link = it.other_link(limits=Limits(lease_s=2.0))
        first = asyncio.create_task(anext(link.fetch(it.hub.token(), digest, range(100))))
        await asyncio.wait([first], timeout=3.0)
        assert not first.done(), "it takes the line for dead"
        await others.aclose()
        assert (await first)[:CHUNK_BYTES] == data[:CHUNK_BYTES]
        await link.close()


async def test_whoever_was_revoked_while_it_waited_gets_nothing_of_the_version(wire, monkeypatch):
    monkeypatch.setattr(room, "_LITTLE_BYTES_PER_S", 0)
    monkeypatch.setattr(room, "_NOTHING_BYTES_PER_S", 0)
    async with wire() as it, AsyncExitStack() as others, asyncio.timeout(20):
        digest = it.hub.offer(bytes(100 * CHUNK_BYTES)).digest
        for number in range(places_module.FEW):
            other, token = it.other_link(), it.hub.token(f"unread-{number}")
            others.push_async_callback(other.close)
            unread = other.fetch(token, digest, range(100))
            others.push_async_callback(unread.aclose)
            await anext(unread)
        first = asyncio.create_task(anext(it.link.fetch(it.hub.token(), digest, range(100))))
        await asyncio.wait([first], timeout=0.3)
        it.hub.revoked.add("anna")
        await others.aclose()
        with pytest.raises(AccessRefusedError, match="anna was revoked"):
            await first
