"""Many who come at once to a coordinator that answers slowly."""

import asyncio
import json

import pytest

from flnb.coordinator.control import telling
from flnb.core.errors import UnknownTokenError
from flnb.service.events.event import DURABLE, TYPES, Event
from flnb.service.events.fanout import _each
from flnb.service.events.feed import feed
from flnb.service.events.hub import Hub
from flnb.service.events.listeners import Listener
from flnb.service.events.socket import _short
from flnb.service.gateway import Gateway
from flnb.store import Cursor
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


def happened(kind, closing, **data):
    return Event.of(kind, "first", json.dumps({"generation": 1} | data), Cursor(closing, 0, "1f3a"))


async def joined(hub, after="1.0.1f3a"):
    """What somebody hears who comes back now, or comes for the first time."""
    listener = Listener(100)
    await hub.join(listener, after)
    return [(await listener.next()).kind for _ in range(listener.n_waiting)]


@pytest.mark.parametrize(
    ("then", "hears"),
    [
        (happened("round_complete", 2, round=4), ["round_complete", "round_update"]),
        (happened("round_complete", 2, round=5), ["round_complete"]),
        (happened("rounds_taken_back", 2, after=3), ["rounds_taken_back"]),
        (happened("run_changed", 1, status="running"), ["round_update", "run_changed"]),
        (happened("run_changed", 1, status="paused"), ["run_changed"]),
    ],
)
def test_a_round_that_is_open_no_more_is_not_told_to_who_joins_later(then, hears):
    async def come():
        hub = Hub(Slow(takes_s=0.0), "viewer")
        hub.ring.begin(Cursor(1, 0, "1f3a"))
        hub.ready.set()
        hub.take(happened("round_update", 1, round=5))
        hub.take(then)
        return await joined(hub)

    assert asyncio.run(come()) == hears


@pytest.mark.parametrize("after", ["", "1.0.ffff"])
def test_who_gets_the_snapshot_of_another_hears_what_has_changed_since(after):
    async def come():
        hub = Hub(Slow(takes_s=0.0), "viewer")
        hub.ring.begin(Cursor(0, 0, "1f3a"))
        hub.ready.set()
        hub.take(happened("run_changed", 0, status="running"))
        hub.take(happened("round_update", 0, round=5))
        first = await joined(hub, after)
        hub.take(happened("run_changed", 0, status="paused"))
        return first, await joined(hub, after)

    assert asyncio.run(come()) == (["snapshot"], ["snapshot", "run_changed"])


class Renewed(Slow):
    """A way on which the first token is worth nothing any more after a while, or something breaks."""

    def __init__(self, error, *, renews):
        super().__init__(takes_s=0.0)
        self._error, self._renews, self.n_heard = error, renews, 0

    async def listen(self, token, method, request):
        self.n_heard += 1
        yield pb.EventNote(type="snapshot", cursor="1.0.1f3a", data="{}").SerializeToString()
        if request.after and self.n_heard == 2:
            self.viewer = "newer" if self._renews else self.viewer
            raise self._error
        if request.after:
            await asyncio.sleep(60)


def told_of(gateway):
    """What a listener hears until the coordinator was listened to again."""

    async def come():
        hub, heard = Hub(gateway, "viewer"), []
        hub.tell = lambda event: heard.append(event.kind)
        work = asyncio.create_task(feed(hub))
        async with asyncio.timeout(30):
            while gateway.n_heard < 3 or not hub.here:
                assert not work.done()
                await asyncio.sleep(0.01)
        work.cancel()
        return heard

    return asyncio.run(come())


def test_nobody_hears_that_the_service_has_a_newer_token():
    gone = UnknownTokenError("it was given back")
    assert "coordinator_gone" not in told_of(Renewed(gone, renews=True))
    assert "coordinator_gone" in told_of(Renewed(gone, renews=False))


def test_what_cannot_be_read_does_not_end_the_feed(caplog):
    assert "coordinator_gone" in told_of(Renewed(ValueError("no such cursor"), renews=False))
    assert "no such cursor" in caplog.text


def test_what_fails_again_and_again_is_done_again_and_logged(caplog):
    done = asyncio.Event()

    async def work():
        if "once" in caplog.text:
            done.set()
        raise ValueError("once")

    async def come():
        repeated = asyncio.create_task(_each(0.01, work))
        async with asyncio.timeout(30):
            await done.wait()
        repeated.cancel()

    asyncio.run(come())


def test_a_reason_is_as_long_as_a_closing_frame_allows_in_whole_characters():
    assert _short("é" * 100) == "é" * 61
    assert _short("x" * 100) == "x" * 100


def test_all_that_a_coordinator_tells_can_be_listened_for():
    assert set(telling.TYPES) <= TYPES
    assert set(telling.DURABLE) == DURABLE
