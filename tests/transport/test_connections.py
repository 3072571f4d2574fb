"""Connections of a client: one for its session, and one for each long upload."""

import asyncio

import psutil
import pytest

from flnb.core.errors import UnreachableError
from flnb.transport import CHUNK_BYTES, Limits
from flnb.transport.manifest import BUNDLE_CHUNKS


async def until(true):
    async with asyncio.timeout(20):
        while not true():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


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
            await until(lambda apart=apart: open_before[-1] - connections() == apart)


async def test_a_long_upload_where_no_more_connections_are_taken_goes_over_that_of_its_session(
    wire, work
):
    async with wire(Limits(clients=1)) as it, asyncio.timeout(30):  # two connections
        other = it.other_link()
        for number, link in enumerate((it.link, other)):
            token = it.hub.token(f"client-{number}")
            assert await link.send(token, work, [0], lambda _: bytes(CHUNK_BYTES)) == 1
        sent = it.link.send(
            it.hub.token(), work, range(9), lambda places: bytes(CHUNK_BYTES * len(places))
        )
        assert await sent == 9
        await other.close()


@pytest.mark.parametrize("chunks", [1, 9])
async def test_nothing_is_sent_over_a_link_that_was_closed(wire, work, chunks):
    async with wire() as it:
        link = it.other_link()
        await link.close()
        with pytest.raises(UnreachableError, match="was closed"):
            await link.send(it.hub.token(), work, range(chunks), lambda _: b"")
