"""Many who come at once to a coordinator that answers slowly."""

import asyncio

from flnb.service.events.hub import Hub
from flnb.service.gateway import Gateway
from flnb.transport.v1 import control_pb2 as pb


class Slow(Gateway):
    """The way to a coordinator that needs so long for a snapshot."""

    def __init__(self, takes_s):
        self.viewer, self.n_snapshots, self._takes_s = "token", 0, takes_s

    async def listen(self, token, method, request):
        self.n_snapshots += 1
        await asyncio.sleep(self._takes_s)
        note = pb.EventNote(type="snapshot", cursor="0.0.1f3a", data="{}")
        yield note.SerializeToString()


def test_those_who_waited_for_one_snapshot_do_not_each_make_another():
    gateway = Slow(takes_s=0.7)

    async def come():
        hub = Hub(gateway, "viewer")
        return await asyncio.gather(*(hub.snapshot() for _ in range(20)))

    told = asyncio.run(come())
    assert len({id(event) for event in told}) == gateway.n_snapshots == 1


def test_who_comes_later_hears_how_all_stands_by_then():
    gateway = Slow(takes_s=0.0)

    async def come():
        hub = Hub(gateway, "viewer")
        await hub.snapshot()
        await asyncio.sleep(0.6)
        await hub.snapshot()

    asyncio.run(come())
    assert gateway.n_snapshots == 2
