"""A run that waits for clients says so, and for how many, wherever its state is shown."""

import asyncio

import pytest

import flnb
from flnb.coordinator.waiting import SETTLES_S, Waiting
from flnb.core.view import RunView, Status
from flnb.store import LabStore


@pytest.fixture
def waits(tmp_path, task, plan):
    """A run for which nobody has come yet, and whose coordinator listens."""
    with flnb.Coordinator(tmp_path / "lab") as coordinator:
        coordinator.listen()
        yield coordinator.run(plan, task, name="first")


def test_a_run_without_clients_says_for_how_many_it_waits(waits, tmp_path, until):
    lab = waits.source._lab
    until(lambda: lab.store.state.run("first").status is Status.WAITING)
    assert repr(waits) == "Run('first', waiting for 4 clients, 0 here, round 0/4)"
    assert repr(lab.runs()).splitlines()[1] == "first  waiting for 4 clients, 0 here"
    assert "first (round 0/4, waiting for 4 clients, 0 here)" in lab.coordinator.standing.going
    (row,) = lab.sql("SELECT status, waits_for FROM runs")
    assert row == {"status": "waiting", "waits_for": "4 clients, 0 here"}
    for markup in (waits, lab.runs()):
        assert "4 clients, 0 here" in markup._repr_mimebundle_()["text/html"]


def test_another_process_and_a_connection_show_the_same(waits, tmp_path, until):
    lab = waits.source._lab
    until(lambda: lab.store.state.run("first").status is Status.WAITING)
    elsewhere = flnb.coordinator.Lab(LabStore.open(tmp_path / "lab"))
    view = elsewhere.first_view(elsewhere.store.state.run("first"))
    assert (view.status, view.awaited, view.here) == (Status.WAITING, 4, 0)
    elsewhere.store.close()
    with flnb.connect(lab.coordinator.token("dr-lee").text) as there:
        assert repr(there.attach("first")) == repr(waits)
        assert repr(there.runs()) == repr(lab.runs())


def test_what_waited_and_rests_waits_no_more(waits, until):
    state = waits.source._lab.store.state
    until(lambda: state.run("first").status is Status.WAITING)
    waits.pause().wait(20)
    record = state.run("first")
    assert (record.status, record.waits_for) == (Status.PAUSED, "")
    assert (waits.status, waits.view.awaited) == (Status.PAUSED, 0)


def test_a_run_whose_waiting_coordinator_died_is_interrupted(waits, until, tmp_path):
    store = waits.source._lab.store
    until(lambda: store.state.run("first").status is Status.WAITING)
    store.state.interrupted()  # what whoever takes the lab next does first
    assert (store.state.run("first").status, store.state.run("first").waits) == (
        Status.INTERRUPTED,
        None,
    )


def test_of_many_that_come_at_once_few_are_written():
    written = []

    async def write(status, waits):
        written.append((status, waits and waits["here"]))

    async def scene():
        waiting = Waiting(write)
        for here in range(50):
            waiting.look(RunView("r", "main", 1, Status.WAITING, 9, awaited=60, here=here))
        await asyncio.sleep(2 * SETTLES_S)
        waiting.look(RunView("r", "main", 1, Status.RUNNING, 9))
        await asyncio.sleep(2 * SETTLES_S)
        waiting.look(RunView("r", "main", 1, Status.WAITING, 9, awaited=60))
        await waiting.end()

    asyncio.run(scene())
    assert written == [(Status.WAITING, 49), (Status.RUNNING, None)]
