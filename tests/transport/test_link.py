"""A client's end of the wire, where the other end falls silent."""

import asyncio

import pytest

from flnb.core.errors import UnreachableError
from flnb.transport import Limits


async def test_a_version_of_which_nothing_comes_is_given_up(wire):
    async def nothing(_claims, _digest):
        await asyncio.Event().wait()

    async with wire() as it:
        it.hub.package = nothing
        link = it.other_link(limits=Limits(lease_s=0.2))
        with pytest.raises(UnreachableError, match=r"nothing came .* for 0\.2 s"):
            _ = [chunk async for chunk in link.fetch(it.hub.token(), b"d", [0])]
        await link.close()
