"""Remarks about clients: who came back, who went back, and what is of a generation that is no more."""

import asyncio

import pytest

from flnb.coordinator.remote.notable import Notable
from flnb.coordinator.remote.work import Facts, Key
from flnb.coordinator.rows import LATE_UPDATE, OpenRound
from flnb.core.clock import SYSTEM_CLOCK
from flnb.core.ids import ClientId
from flnb.core.messages import Outcome
from tests.coordinator.remote.test_participants import CLIENT, LARGE, LAYOUT, crowd

STALE = "stale generation (it is of round 4 of generation 1, the run is at generation 2)"
OLD = Key("run", 1, 4, 0, "train", "a")


@pytest.fixture
def open_run():
    return ["run"]


@pytest.fixture
def notable(open_run):
    made = Notable(lambda: open_run[0])
    made.begin("run", 2)
    return made


def test_an_update_of_a_generation_before_is_stale_and_no_other(notable):
    assert notable.stale(CLIENT, OLD) == STALE
    assert notable.stale(CLIENT, OLD._replace(generation=2)) == ""
    assert notable.stale(CLIENT, OLD._replace(run="another")) == ""
    assert notable.remarks == {"a": f"an update was refused: {STALE}"}


def test_what_came_between_two_rounds_is_told_in_the_next_of_its_run(notable, open_run):
    open_run[0] = ""
    notable.stale(CLIENT, OLD)
    notable.begin("another", 1)
    assert notable.remarks == {}
    notable.begin("run", 2)
    assert STALE in notable.remarks["a"]
    notable.begin("run", 2)
    assert notable.remarks == {}


def test_one_that_says_the_same_often_is_quoted_once_and_a_crowd_is_cut(notable, open_run):
    for _ in range(3):
        notable.remark("a", "it came back")
    assert notable.remarks["a"] == "it came back"
    open_run[0] = ""
    for number in range(300):
        notable.stale(ClientId(f"c{number}"), OLD)
    notable.begin("run", 2)
    assert len(notable.remarks) == 100


def test_a_client_that_came_back_is_told_of_with_how_long_it_was_away(notable):
    notable.came(CLIENT, b"1", 0.0, was_here=False)
    assert notable.remarks == {}
    notable.left(CLIENT, 1.0)
    notable.came(CLIENT, b"1", 1.5, was_here=False)
    notable.left(CLIENT, 2.0)
    notable.came(CLIENT, b"2", 5.0, was_here=False)
    first, second = notable.remarks["a"].split("; ")
    assert first == "its connection was made anew after 0.5 s"
    assert second == "its process ended and another came back after 3.0 s"


def test_where_a_client_went_back_to_is_told_when_its_update_counts(notable):
    for went_back_to in (None, 28, 0):
        client = f"to {went_back_to}"
        notable.received(client, Facts(1, 0.1, 0.1, went_back_to=went_back_to))
    assert notable.remarks == {
        "to 28": "went back to its state of round 28",
        "to 0": "no kept state: started anew",
    }


def test_work_of_a_run_that_is_rolled_back_is_withdrawn_and_what_comes_is_stale(tmp_path):
    async def scene():
        async with crowd(tmp_path) as people:
            work = await people.begin("run", 4)
            people.remote.taken_back("run", 2)
            assert people.sent[-1] == (CLIENT, "withdrawn")
            assert await people.collect(work) is None
            await people.offer(work, 1.0)
            assert people.sent[-1] == (CLIENT, "refused")
            await people.begin("run", 2)
            assert STALE in people.remote.notable.remarks[CLIENT]

    asyncio.run(scene())


def test_an_update_that_had_counted_is_given_up_with_its_round(tmp_path):
    async def scene():
        async with crowd(tmp_path) as people:
            await people.offer(await people.begin("run", 4), 1.0)
            people.remote.taken_back("run", 2)
            assert [kind for _, kind in people.sent] == ["assignment", "received", "refused"]
            people.remote.committed("run", 9)
            assert len(people.sent) == 3
            await people.begin("run", 2)
            assert STALE in people.remote.notable.remarks[CLIENT]

    asyncio.run(scene())


@pytest.mark.parametrize("layout", [LAYOUT, LARGE])
def test_a_roll_back_that_is_told_again_leaves_the_present_generation_alone(tmp_path, layout):
    async def scene():
        async with crowd(tmp_path, layout=layout) as people:
            counted = people.upload if layout is LARGE else people.offer
            first = await people.begin("run", 4)
            await counted(first, 1.0)
            people.remote.taken_back("run", 1)  # the generation in which it is
            assert len(people.spool.files) == (layout is LARGE)
            report = await people.collect(first)
            assert report.outcome.tolist() == [Outcome.ACCEPTED]
            open_work = await people.begin("run", 5)
            people.remote.taken_back("run", 1)
            assert [kind for _, kind in people.sent if kind in {"withdrawn", "refused"}] == []
            await counted(open_work, 2.0)
            people.remote.committed("run", 5)
            assert [kind for _, kind in people.sent].count("settled") == 2

    asyncio.run(scene())


def test_a_late_update_of_somebody_who_takes_no_part_is_an_event_of_the_round():
    open_round = OpenRound(2, 0, (CLIENT,), SYSTEM_CLOCK.now())
    open_round.remarks = {"b": f"an update was refused: {STALE}"}
    events = open_round.event_columns("all answered")
    rows = list(zip(events["kind"], events["client"], events["detail"], strict=True))
    assert (LATE_UPDATE, "b", f"an update was refused: {STALE}") in rows
    assert len({len(column) for column in events.values()}) == 1
