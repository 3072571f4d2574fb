"""Whatever the order in which two services hear rounds and operations, who moves between them hears each once."""

import asyncio
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flnb.core.errors import PlanError
from flnb.service.events import listeners
from flnb.service.events.event import Event
from flnb.service.events.listeners import NOT_NOW, Listener
from flnb.service.events.ring import Ring
from flnb.store import Cursor

LAB = "1f3a"


def sequence(kinds):
    """Durable events of a feed that hears rounds (True) and operations in this order."""
    at, events = Cursor(0, 0, LAB), []
    for is_round in kinds:
        at = Cursor(at.closing + is_round, at.operation + (not is_round), LAB)
        events.append(Event.of("round_complete" if is_round else "operation", "", "{}", at))
    return events


def filled(events, most=1000):
    ring = Ring(most)
    ring.begin(Cursor(0, 0, LAB))
    for event in events:
        ring.add(event)
    return ring


async def heard(listener):
    told = []
    while listener.n_waiting:
        told.append(await listener.next())
    return told


def place(event):
    cursor = event.cursor
    return event.kind, cursor.operation if event.kind == "operation" else cursor.closing


feeds = st.lists(st.booleans(), max_size=24).flatmap(
    lambda kinds: st.tuples(st.permutations(kinds), st.permutations(kinds))
)


@given(feeds, st.lists(st.tuples(st.integers(0, 1), st.integers(0, 5)), max_size=12))
def test_each_event_is_heard_once_and_in_order_by_who_moves_between_services(orders, stays):
    async def listen():
        services = [filled(sequence(kinds)) for kinds in orders]
        cursor, told = Cursor(0, 0, LAB), []
        for which, length in [*stays, (0, 1000), (1, 1000)]:
            listener = Listener(10)
            listener.begin(services[which].after(cursor), cursor)
            events = (await heard(listener))[:length]
            told += map(place, events)
            cursor = Cursor.parse(json.loads(events[-1].text)["cursor"]) if events else cursor
        return told

    told = asyncio.run(listen())
    rounds = [number for kind, number in told if kind == "round_complete"]
    operations = [number for kind, number in told if kind == "operation"]
    assert rounds == list(range(1, sum(orders[0]) + 1))
    assert operations == list(range(1, len(orders[0]) - len(rounds) + 1))


@given(st.lists(st.booleans(), min_size=1, max_size=40), st.integers(1, 10), st.data())
def test_a_ring_tells_all_after_whatever_it_reaches(kinds, most, data):
    events = sequence(kinds)
    ring = filled(events, most)
    at = data.draw(st.sampled_from([Cursor(0, 0, LAB), *(event.cursor for event in events)]))
    missing = [event for event in events if event.is_after(at)]
    assert ring.reaches(at) == (at.covers(ring.base))
    if ring.reaches(at):
        assert ring.after(at) == missing
    assert len(ring) <= most


@given(
    st.integers(0, 10**15), st.integers(0, 10**15), st.from_regex("[0-9a-f]{16}", fullmatch=True)
)
def test_a_cursor_comes_back_as_it_was(closing, operation, lab):
    assert Cursor.parse(Cursor(closing, operation, lab).text) == Cursor(closing, operation, lab)


@pytest.mark.parametrize(
    "text", ["", "1.2", "-1.2.ff", "1.2.xyz", "1.2.ff ", "1.2.ff\n", "9" * 400]
)
def test_what_is_no_cursor_is_refused(text):
    with pytest.raises(PlanError, match="is not a cursor"):
        Cursor.parse(text)


def test_a_slow_listener_is_let_go_but_not_for_what_it_asked_for():
    async def listen():
        listener, events = Listener(10), sequence([True] * 100)
        listener.begin(events[:80], Cursor(0, 0, LAB))
        for event in events[80:90]:
            listener.offer(event)
        assert not listener.ended.done()
        listener.offer(events[90])
        return await listener.ended

    assert asyncio.run(listen()) == (NOT_NOW, "too slow: 10 events wait")


def test_what_the_next_event_says_as_well_is_left_out_when_much_waits():
    async def listen():
        listener, events = Listener(10), sequence([True] * 7)
        listener.begin([], Cursor(0, 0, LAB))
        for event in events:
            listener.offer(event)
        listener.offer(Event.of("round_update", "", "{}", events[-1].cursor))
        return [event.kind for event in await heard(listener)]

    assert asyncio.run(listen()) == ["round_complete"] * 7


def test_who_catches_up_and_reads_nothing_keeps_others_waiting_for_a_while_only(monkeypatch):
    monkeypatch.setattr(listeners, "_READS_S", 0.05)

    async def catches_up():
        listener = Listener(10)
        listener.begin(sequence([True] * 300), Cursor(0, 0, LAB))
        async with asyncio.timeout(5):
            await listener.room()
        return await listener.ended

    assert asyncio.run(catches_up()) == (NOT_NOW, "too slow: 300 events wait")
