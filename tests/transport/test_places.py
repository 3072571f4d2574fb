"""Places for transfers: few while they move much, more while they move little, none for who stands still."""

import asyncio
from contextlib import AsyncExitStack

import psutil
import pytest

from flnb.core.errors import UnreachableError
from flnb.transport import CHUNK_BYTES, Limits
from flnb.transport import places as places_module
from flnb.transport.manifest import BUNDLE_CHUNKS
from flnb.transport.places import Places, Room, Traffic
from flnb.transport.v1 import federation_pb2 as pb


async def nothing():
    await asyncio.Event().wait()


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


async def test_few_begin_while_they_move_much_and_each_that_ends_lets_one_in():
    places, begun = Places(5, still_s=5, few=2), []
    ends = [asyncio.Event() for _ in range(4)]
    tasks = [asyncio.create_task(busy(places, end, begun)) for end in ends]
    await asyncio.wait(tasks, timeout=0.8)  # three looks
    assert len(begun) == 2
    ends[0].set()
    await tasks[0]
    await asyncio.wait(tasks[1:], timeout=0.03)
    assert len(begun) == 3
    for end in ends:
        end.set()
    await asyncio.gather(*tasks)


async def test_others_begin_while_little_is_moved_up_to_all_places():
    places, begun = Places(3, still_s=5, few=1), []
    tasks = [asyncio.create_task(silent(places, begun)) for _ in range(5)]
    await asyncio.wait(tasks, timeout=0.1)
    assert len(begun) == 1
    await asyncio.wait(tasks, timeout=1.4)
    assert len(begun) == 3
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


async def test_nobody_begins_beside_those_who_wait_while_the_other_way_is_full():
    traffic, begun, go_on = Traffic(), [], asyncio.Event()
    ways = Places(few=1, traffic=traffic), Places(few=1, traffic=traffic)
    tasks = [asyncio.create_task(busy(ways[0], go_on))]
    tasks += [asyncio.create_task(silent(ways[1], begun)) for _ in range(3)]
    await asyncio.wait(tasks, timeout=0.8)
    assert len(begun) == 1
    go_on.set()
    for task in tasks[1:]:
        task.cancel()
    await asyncio.wait(tasks)


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


@pytest.mark.parametrize(("then_mb_per_s", "room"), [(400, 64), (210, 16)])
def test_there_is_more_room_while_others_help(then_mb_per_s, room):
    held, moved = Room(8), 0
    held.look(0.0, 0, 8)
    speeds = [20, 20, 200, 200, then_mb_per_s, then_mb_per_s]
    seen = []
    for at, mb_per_s in enumerate(speeds, 1):
        moved += mb_per_s * 250_000
        held.look(at / 4, moved, held.chunks)
        seen.append(held.chunks)
    assert seen == [8, 16, 16, 32, 32, room]


def test_a_moment_in_which_the_disk_was_busy_and_one_in_which_nothing_ran_make_no_room():
    held, moved = Room(8), 0
    held.look(0.0, 0, 8)
    for at, mb in ((0.25, 75), (0.5, 75), (0.75, 5), (1.0, 75), (21.0, 75)):
        moved += mb * 1_000_000
        held.look(at, moved, 8)
    assert held.chunks == 8


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
    monkeypatch.setattr(places_module, "_LITTLE_BYTES_PER_S", 0)
    async with wire() as it, AsyncExitStack() as others, asyncio.timeout(20):
        data = bytes(100 * CHUNK_BYTES)
        digest = it.hub.offer(data).digest
        for number in range(places_module.FEW):
            other, token = it.other_link(), it.hub.token(f"unread-{number}")
            others.push_async_callback(other.close)
            unread = other.fetch(token, digest, range(100))
            others.push_async_callback(unread.aclose)
            await anext(unread)
        link = it.other_link(limits=Limits(lease_s=0.5))
        first = asyncio.create_task(anext(link.fetch(it.hub.token(), digest, range(100))))
        await asyncio.wait([first], timeout=1.5)
        assert not first.done(), "it takes the line for dead"
        await others.aclose()
        assert (await first)[:CHUNK_BYTES] == data[:CHUNK_BYTES]
        await link.close()


async def test_a_long_upload_has_a_connection_of_its_own_that_goes_with_it(wire, work):
    async with wire() as it, asyncio.timeout(20):
        process, open_before = psutil.Process(), []

        def connections():
            return sum(
                one.status == "ESTABLISHED" and one.raddr.port == it.port
                for one in process.net_connections("tcp")
                if one.raddr
            )

        def data(places):
            open_before.append(connections())
            return bytes(CHUNK_BYTES * len(places))

        for chunks, apart in ((BUNDLE_CHUNKS, 0), (BUNDLE_CHUNKS + 1, 1)):
            await it.link.send(it.hub.token(), work, range(chunks), data)
            before = connections()
            assert open_before[-1] - before == apart
