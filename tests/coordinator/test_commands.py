"""Commands that come at a bad moment: none is lost, none harms a run or the loop that hears them."""

import asyncio
import time
from types import SimpleNamespace

import pytest

import flnb
from flnb.coordinator.commands import obey
from flnb.core.errors import RoundStateError
from flnb.core.view import Status
from flnb.store import StateStore
from flnb.testing.stores import sample_run


def test_clients_are_not_made_anew_under_a_run_that_trains_with_them(coord, plan, task):
    run = coord.run(plan.replace(rounds=2000), task)
    with pytest.raises(RoundStateError, match="trains with these clients"):
        coord.simulate(task, workers=0, drop=0.5)
    run.stop()
    assert run.wait(60).status is Status.STOPPED


def test_a_stop_while_the_run_is_pausing_ends_it(coord, plan, task):
    run = coord.run(plan.replace(rounds=2000), task)
    run.pause()
    run.stop()
    run.wait(60)
    assert coord.lab.run(run.name).status is Status.STOPPED


def test_a_watcher_may_stop_a_run_whatever_it_is_told(coord, plan, task):
    run = coord.run(plan.replace(rounds=2000), task)
    told = []

    def stop_after_three(view):
        told.append(view.status)
        if view.round >= 3:
            run.stop()

    run.on_change(stop_after_three)
    assert run.wait(60).status is Status.STOPPED
    assert told[-1] is Status.STOPPED


def test_a_watcher_may_stop_a_run_that_comes_to_its_rest(coord, plan, task):
    run = coord.run(plan.replace(rounds=2000), task)
    run.on_change(lambda view: run.stop() if view.status is Status.PAUSED else None)
    run.pause().wait(60)
    deadline_s = time.monotonic() + 20
    while coord.lab.store.state.run(run.id).status is not Status.STOPPED:
        assert time.monotonic() < deadline_s
        time.sleep(0.02)
    assert run.status is Status.STOPPED


def test_a_lab_opened_twice_answers_from_the_coordinator_that_runs(coord, plan, task):
    coord.run(plan, task).wait(60)
    again = flnb.open(coord.lab.path)
    assert len(again.sql("SELECT * FROM rounds")) == 4


def test_an_unknown_command_is_answered_and_the_next_one_is_heard(coord, plan, task):
    state = coord.lab.store.state
    run = coord.run(plan.replace(rounds=5000), task)
    odd = state.enqueue_command(run.id, "dance")
    pause = state.enqueue_command(run.id, "pause")
    deadline_s = time.monotonic() + 20
    while state.command(pause.id).result is None and time.monotonic() < deadline_s:
        time.sleep(0.05)
    assert state.command(odd.id).result == "unknown command 'dance'"
    assert state.command(pause.id).result == "done"
    assert run.wait(60).status is Status.PAUSED


def test_a_command_whose_answer_could_not_be_written_is_carried_out_again(coord, plan, task):
    state, refused = coord.lab.store.state, []
    finish = state.finish_command

    def finish_the_second_time(number, result):
        if not refused:
            refused.append(result)
            raise OSError("no room")
        finish(number, result)

    run = coord.run(plan.replace(rounds=1), task)
    run.wait(60)
    state.finish_command = finish_the_second_time
    asked = state.enqueue_command(run.id, "dance")
    deadline_s = time.monotonic() + 20
    while state.command(asked.id).result is None and time.monotonic() < deadline_s:
        time.sleep(0.02)
    assert refused == [state.command(asked.id).result]


def test_a_command_that_is_taken_back_while_one_before_it_is_carried_out_is_not_done(tmp_path):
    state, told = StateStore(tmp_path / "state.db"), []
    state.create_run(sample_run())
    first, second = (state.enqueue_command("run001", "pause") for _ in range(2))

    def tell(run, _):
        told.append(run)
        assert state.withdraw_command(second.id, "withdrawn")

    async def obey_once():
        looked = asyncio.Event()
        lab = SimpleNamespace(store=SimpleNamespace(state=state))
        who = SimpleNamespace(lab=lab, tell=tell, rest=lambda _: looked.set())
        obeying = asyncio.create_task(obey(who, asyncio.to_thread))
        await asyncio.wait_for(looked.wait(), 20)
        obeying.cancel()

    asyncio.run(obey_once())
    results = [state.command(one.id).result for one in (first, second)]
    assert (told, results) == (["run001"], ["done", "withdrawn"])
    state.close()
