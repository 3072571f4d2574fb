"""Places for uploads: whoever stands still makes room, and only then."""

import asyncio

import pytest

from flnb.core.errors import UnreachableError
from flnb.transport import CHUNK_BYTES, Limits
from flnb.transport.uploading import Uploading
from flnb.transport.v1 import federation_pb2 as pb


async def silent(uploading, begun):
    async with uploading.place(), uploading.chunk():
        begun.append(True)
        await asyncio.Event().wait()


async def busy(uploading, go_on):
    async with uploading.place():
        while not go_on.is_set():
            async with uploading.chunk():
                await asyncio.sleep(0.001)


async def test_a_silent_upload_keeps_its_place_until_somebody_waits():
    uploading, begun = Uploading(1, still_s=0.02), []
    first = asyncio.create_task(silent(uploading, begun))
    await asyncio.wait([first], timeout=0.1)
    assert (begun, first.done()) == ([True], False)
    async with uploading.place():
        with pytest.raises(UnreachableError, match=r"nothing was sent for 0\.02 s"):
            await first


async def test_an_upload_that_moves_keeps_its_place_however_many_wait():
    uploading, go_on = Uploading(1, still_s=0.5), asyncio.Event()
    tasks = [asyncio.create_task(busy(uploading, go_on)) for _ in range(3)]
    await asyncio.wait(tasks, timeout=0.7)
    assert not any(task.done() for task in tasks)
    go_on.set()
    await asyncio.gather(*tasks)


async def test_who_stopped_waiting_leaves_the_others_in_peace():
    uploading, begun = Uploading(1, still_s=0.1), []
    first = asyncio.create_task(silent(uploading, begun))
    waiting = asyncio.create_task(silent(uploading, begun))
    await asyncio.wait([waiting], timeout=0.02)
    waiting.cancel()
    await asyncio.wait([waiting])
    await asyncio.wait([first], timeout=0.2)
    assert not first.done()
    first.cancel()
    await asyncio.wait([first])


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
