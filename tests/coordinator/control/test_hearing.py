"""Events in a `for` loop, of a coordinator here and of one elsewhere."""

import itertools
import threading
from datetime import datetime, timedelta

import pytest

import flnb
from flnb.coordinator import granting
from flnb.core.errors import RoundStateError, UnreachableError


def first(events, kind, number):
    """The next events of a kind."""
    return list(itertools.islice((one for one in events if one.type == kind), number))


@pytest.fixture(params=["here", "elsewhere"])
def there(coord, request):
    """The coordinator, or a connection to it."""
    if request.param == "here":
        yield coord
        return
    coord.listen()
    with flnb.connect(coord.token("ears", role="operator").text) as connection:
        yield connection


def test_who_listens_hears_how_all_stands_and_then_what_happens(there, coord, plan, task):
    events = there.events()
    snapshot = next(events)
    assert (snapshot.type, snapshot.data["lab"]) == ("snapshot", coord.lab.id)
    coord.run(plan, task, name="first")
    rounds = first(events, "round_complete", 2)
    assert [(one.run, one.data["round"]) for one in rounds] == [("first", 1), ("first", 2)]
    events.close()


def test_who_comes_back_with_a_cursor_hears_what_came_after_it(there, coord, plan, task):
    coord.run(plan, task, name="first").wait(60)
    all_ = first(there.events(f"0.0.{coord.lab.id}"), "round_complete", 4)
    late = first(there.events(all_[1].cursor), "round_complete", 2)
    assert [one.data for one in late] == [one.data for one in all_[2:]]


def test_a_loop_over_events_ends_when_the_coordinator_stops(coord):
    heard = []
    listening = threading.Thread(target=lambda: heard.extend(coord.events()))
    listening.start()
    while not heard and listening.is_alive():
        listening.join(0.05)
    coord.stop()
    listening.join(30)
    assert (listening.is_alive(), heard[0].type) == (False, "snapshot")


def test_a_loop_over_events_elsewhere_says_why_it_ends(coord):
    coord.listen()
    connection = flnb.connect(coord.token("ears", role="viewer").text)
    events = connection.events()
    next(events)
    connection.close()
    with pytest.raises(UnreachableError, match="closed"):
        list(events)


def test_who_holds_the_lab_hears_on_with_the_next_token_when_one_expires(coord, monkeypatch):
    coord.listen()
    monkeypatch.setattr(granting, "_OWN_LIFETIME", timedelta(seconds=2))
    with flnb.connect(coord.lab.path) as connection:
        events = connection.events()
        assert next(events).type == "snapshot"
        again = first(events, "heartbeat", 2)  # comes first to who comes back, else each 15 s
        took = again[1].data["at"], again[0].data["at"]
    assert datetime.fromisoformat(took[0]) - datetime.fromisoformat(took[1]) < timedelta(seconds=10)


def test_a_callback_that_asks_for_the_next_event_is_refused_and_the_run_goes_on(coord, plan, task):
    coord.listen()
    events, refused = coord.events(), []
    next(events)

    def ask(_):
        try:
            next(events)
        except (RoundStateError, StopIteration) as error:
            refused.append(error)

    run = coord.run(plan, task, name="first")
    run.on_change(ask)
    assert run.wait(60).view.round == 4
    assert "must not wait" in str(refused[0])
