"""Answers to people's programs: worked out in peace, and not waited for without end."""

import asyncio
import contextlib

import pytest

from flnb.core.errors import AccessRefusedError, UnreachableError
from flnb.transport import PROTOCOL, ControlLink, Limits, Server
from flnb.transport.v1 import control_pb2 as pb


class Slow:
    """Answers when it may; `revoked` ends what is open."""

    def __init__(self, hub):
        self._hub, self.revoked = hub, False
        self.asked, self.go_on = asyncio.Event(), asyncio.Event()

    async def claims(self, token):
        if self.revoked:
            raise AccessRefusedError("dr-lee was revoked")
        return await self._hub.claims(token)

    async def answer(self, _claims, method, _request):
        if method == "Watch":
            yield pb.WatchNote(state="{}")
        self.asked.set()
        await self.go_on.wait()
        yield pb.ToldReply()

    async def close(self):
        self.go_on.set()


@contextlib.asynccontextmanager
async def controlled(wire, lease_s, **limits):
    async with wire() as it:
        slow = Slow(it.hub)
        server = Server(it.hub, Limits(lease_s=lease_s, **limits), slow)
        address = f"127.0.0.1:{await server.start('127.0.0.1', 0)}"
        token = it.hub.issuer.issue("dr-lee", "admin", 60.0)
        link = ControlLink(address, None, lambda: token, limits=Limits(lease_s=lease_s))
        yield slow, link
        await link.close()
        await server.stop(0.2)


async def test_an_order_that_takes_longer_than_a_lease_is_answered(wire):
    async with controlled(wire, lease_s=0.1) as (slow, link):
        asyncio.get_running_loop().call_later(1.2, slow.go_on.set)
        assert await link.ask("Stop", pb.StopRequest(), pb.ToldReply) == pb.ToldReply()


async def test_while_an_order_is_worked_out_its_token_must_hold(wire):
    async with controlled(wire, lease_s=9.0) as (slow, link):
        asking = asyncio.create_task(link.ask("Stop", pb.StopRequest(), pb.ToldReply))
        await slow.asked.wait()
        slow.revoked = True
        with pytest.raises(AccessRefusedError, match="dr-lee was revoked"):
            await asking


async def test_a_watch_of_which_nothing_is_heard_is_given_up(wire, monkeypatch):
    monkeypatch.setattr("flnb.transport.answering.Watchdog._holds", asyncio.Event().wait)
    async with controlled(wire, lease_s=0.2) as (_, link):
        heard = link.listen("Watch", pb.WatchRequest(protocol=PROTOCOL))
        assert await anext(heard)
        with pytest.raises(UnreachableError, match=r"nothing came .* for 0\.2 s"):
            await anext(heard)


async def test_of_a_burst_of_calls_each_is_answered_though_grpc_turns_some_away_unseen(wire):
    few = {"calls_per_connection": 2, "requests_per_s": 10_000}
    async with controlled(wire, lease_s=9.0, **few) as (slow, link):
        slow.go_on.set()
        for _ in range(20):
            asked = [link.ask("Stop", pb.StopRequest(), pb.ToldReply) for _ in range(50)]
            assert await asyncio.gather(*asked) == [pb.ToldReply()] * 50
