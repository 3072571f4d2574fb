"""What is said of the clients of a run, in a few words."""

from dataclasses import replace

from flnb.core import glance
from flnb.core.view import RunView, Status


def view(**changes):
    usual = {"name": "first", "branch": "main", "generation": 1, "rounds": 5}
    return RunView(status=Status.RUNNING, **usual, **changes)


def test_a_run_that_waits_for_clients_says_for_how_many():
    assert glance.clients(view(awaited=3, here=1)) == "waiting for 3, 1 here"
    assert glance.clients(view(invited=2, accepted=1, awaited=3)) == "waiting for 3, 0 here"


def test_a_state_says_what_it_waits_for_while_it_waits():
    waits = replace(view(awaited=1, here=0), status=Status.WAITING)
    assert glance.state(waits) == "waiting for 1 client, 0 here"
    assert "◔ waiting for 1 client, 0 here" in glance.headline(waits)
    assert glance.state(view(awaited=1)) == "running"


def test_an_open_round_says_what_became_of_its_clients():
    assert glance.clients(view()) == ""
    assert glance.clients(view(invited=4, accepted=1, lost=1)) == "1/4 in · 2 training · 1 lost"
