"""A coordinator held from elsewhere: the same objects and the same words, over real sockets."""

import asyncio
import threading

import numpy as np
import pytest

import flnb
from flnb.coordinator.control.plain import view_to_json
from flnb.core.errors import (
    FLBaseError,
    InsufficientClientsError,
    NotFoundError,
    PlanError,
    QueryRefusedError,
    RoundStateError,
    TaskError,
    UnreachableError,
)
from flnb.core.view import Status
from flnb.transport import Pass


def test_a_run_through_a_connection_is_the_run_of_the_lab(coord, person, plan, task):
    there = person()
    run = there.run(plan, task, name="first").wait(60)
    here = coord.lab.run("first")
    assert (run.status, run.view, repr(run)) == (Status.FINISHED, here.view, repr(here))
    assert (run.id, run.plan, run.driven_here) == (here.id, here.plan, False)
    assert run.parameters_sha256 == here.parameters_sha256 == run.model().sha256()
    assert run.model().layout == here.model().layout
    np.testing.assert_array_equal(run.model().values, here.model().values)
    for table in ("metrics", "events", "rounds"):
        assert getattr(run, table).arrow().equals(getattr(here, table).arrow()), table
    assert run.round(2).why() == here.round(2).why()
    assert repr(run.round(2).clients) == repr(here.round(2).clients)


def test_the_connection_looks_like_the_coordinator(coord, person, plan, task, until):
    there = person("admin")
    there.run(plan, task, name="first").wait(60)
    until(lambda: repr(there) == repr(coord))
    assert repr(there.runs()) == repr(coord.runs())
    assert there.runs()[0].view == coord.runs()[0].view
    assert repr(there.simulate(task, workers=0)) == repr(coord.simulate(task, workers=0))
    assert there.sql("SELECT 1 AS x").df()["x"].tolist() == [1]
    assert repr(there.clients) == repr(coord.clients)
    assert there.runs().df()["run"].tolist() == ["first"]
    assert "as admin" in there._repr_mimebundle_()["text/html"]


def test_pictures_arrive_while_it_trains_and_reprs_ask_nobody(coord, person, plan, task, until):
    there, seen = person(), []
    run = there.run(plan.replace(rounds=5000), task)
    run.on_change(lambda view: seen.append(view.round))
    until(lambda: len(set(seen)) > 3)
    assert seen == sorted(seen)
    with pytest.MonkeyPatch.context() as deaf:
        deaf.setattr(there._wire, "_call", None)
        for shown in (there, run):
            assert repr(shown)
            assert "text/html" in shown._repr_mimebundle_()
    run.stop().wait(30)


def test_it_says_how_late_the_loop_of_the_coordinator_was(person):
    assert 0 <= person("viewer").loop_lag_s < 60


def test_it_is_told_things_and_waits_as_here(person, plan, task):
    there = person()
    run = there.run(plan.replace(rounds=5000), task, name="first")
    assert run.pause().wait(30).status is Status.PAUSED
    rested_at = run.view.round
    with pytest.raises(PlanError, match="'seed' is settled"):
        run.resume(seed=3)
    run.resume(rounds=rested_at + 2, evaluation=flnb.Evaluation(central_every=2)).wait(30)
    assert (run.status, run.view.round, run.plan.rounds) == (
        Status.FINISHED,
        rested_at + 2,
        rested_at + 2,
    )
    with pytest.raises(RoundStateError, match="finished"):
        there.resume("first")


def test_a_callback_may_stop_the_run(person, plan, task):
    run = person().run(plan.replace(rounds=5000), task)
    run.on_change(lambda view: run.stop() if view.round > 3 else None)
    assert run.wait(30).status is Status.STOPPED


def test_awaiting_does_not_block_and_cancelling_cancels_the_wait_only(person, plan, task):
    async def main():
        ticks, waiting = 0, asyncio.ensure_future(_wait(run))
        while not waiting.done():
            await asyncio.sleep(0.005)
            ticks += 1
            if ticks == 3:
                waiting.cancel()
        assert waiting.cancelled()
        return await run

    run = person().run(plan, task)
    assert asyncio.run(main()).status is Status.FINISHED


async def _wait(run):
    return await run


def test_why_it_paused_arrives_with_its_class_and_numbers(person, plan, task):
    there = person()
    there.simulate(task, workers=0, drop=0.97)
    run = there.run(plan.replace(need=4), task)
    with pytest.raises(InsufficientClientsError, match="needs 4 updates") as caught:
        run.wait(60)
    assert (caught.value.need, caught.value.round_number) == (4, caught.value.round_number)
    assert "run.resume" in caught.value.hint
    assert "has not closed" in run.round(caught.value.round_number).why()


def test_what_is_wrong_is_said_as_it_is_here(person, plan, task):
    there = person()
    there.run(plan, task, name="first").wait(60)
    with pytest.raises(NotFoundError, match="'fist'") as missed:
        there.attach("fist")
    assert "first" in missed.value.hint
    with pytest.raises(PlanError, match="already"):
        there.run(plan, task, name="first")
    with pytest.raises(QueryRefusedError, match="SELECT"):
        there.sql("DELETE FROM runs")
    with pytest.raises(NotFoundError, match="closed round"):
        there.attach("first").round(99)


def test_a_task_from_a_cell_is_refused_before_anything_is_sent(person, plan, task):
    from_cell = flnb.Task(model=_model, data=task.data)
    with pytest.raises(TaskError, match="code is never sent") as refused:
        person().run(plan, from_cell)
    assert "importable" in refused.value.hint


@pytest.mark.parametrize("use", ["os:system", "flnb.tasks:resolve", "no_such_module:f"])
def test_nothing_is_called_there_that_is_not_marked_as_a_task(person, plan, task, use, tmp_path):
    trace = tmp_path / "trace"
    forged = task.referred(flnb.tasks.TaskRef(use, {"command": f"touch {trace}"}))
    with pytest.raises(TaskError, match=r"not marked|cannot be imported"):
        person().simulate(forged)
    assert not trace.exists()


@pytest.mark.parametrize("source", ["exit(3)", "def make(): exit(3)"])
def test_a_task_that_ends_the_process_is_refused_and_the_coordinator_goes_on(
    person, task, source, tmp_path, monkeypatch
):
    marked = f"from flnb.tasks import importable\n{source}\nmake = importable(make)"
    (tmp_path / "that_exits.py").write_text(marked)
    monkeypatch.syspath_prepend(tmp_path)
    there, forged = person(), task.referred(flnb.tasks.TaskRef("that_exits:make"))
    with pytest.raises(TaskError, match="failed here: SystemExit: 3"):
        there.simulate(forged)
    assert len(there.runs()) == 0


def test_another_task_of_the_same_name_is_refused_with_what_differs(person, task):
    other = flnb.tasks.digits(model="mlp", split=flnb.IID(clients=6, seed=0))
    forged = other.referred(task.ref)
    with pytest.raises(TaskError, match=r"makes another task of flnb\.tasks:digits"):
        person().simulate(forged)


def test_the_operations_log_says_who_asked(coord, person, plan, task):
    run = person(name="dr-kim").run(plan.replace(rounds=5000), task)
    run.stop().wait(30)
    coord.flush()
    told = {one.verb: one.actor for one in coord.lab.store.state.operations(run.id)}
    assert told == {"start": "dr-kim", "stop": "dr-kim"}


def test_a_coordinator_that_stops_and_starts_again_is_held_on(coord, person, plan, task, until):
    run = person().run(plan.replace(rounds=5000), task, name="first")
    until(lambda: run.view.round > 3)
    coord.stop()  # which pauses its runs
    last = run.view
    with pytest.raises(UnreachableError, match="cannot reach"):
        run.resume()
    assert run.view.round == last.round
    coord.start()
    coord.listen()
    coord.simulate(task, workers=0)
    run.resume()
    until(lambda: run.view.round > last.round)
    assert run.stop().wait(30).status is Status.STOPPED


def test_runs_that_no_longer_are_driven_there_are_seen_to_end(coord, person, plan, task, until):
    run = person().run(plan.replace(rounds=5000), task, name="first")
    coord.stop()
    coord.start()
    coord.listen()
    until(lambda: run.status is Status.PAUSED)
    found_later = person().attach("first")
    coord.lab.run("first").stop()
    until(lambda: run.status is found_later.status is Status.STOPPED)


def test_a_service_that_fails_for_a_moment_is_watched_on(coord, person, plan, task, until):
    there = person()
    run = there.run(plan.replace(rounds=5000), task)
    with pytest.MonkeyPatch.context() as broken:
        broken.setattr("flnb.coordinator.control.looks.Looks.state", lambda *_: 1 / 0)
        until(lambda: not there._wire.connected)
    seen = run.view.round
    until(lambda: run.view.round > seen)
    service = coord._desk.server._controls
    token = Pass.parse(coord.token("dr-kim").text).token
    asyncio.run(service.close())
    with pytest.raises(UnreachableError, match="stops"):  # and not for good
        asyncio.run(service.claims(token))


def test_who_waits_hears_that_a_picture_cannot_be_read(person, plan, task, until, monkeypatch):
    there = person()
    run = there.run(plan.replace(rounds=5000), task)
    until(lambda: run.view.round > 1)
    name = "flnb.coordinator.control.watch.view_to_json"
    monkeypatch.setattr(name, lambda view: view_to_json(view).replace("running", "dreaming"))
    with pytest.raises(FLBaseError, match="cannot be read here") as ended:
        run.wait(30)
    assert "upgrade" in ended.value.hint
    assert "cannot be read" in there._repr_mimebundle_()["text/html"]


def test_frames_move_and_the_last_one_is_drawn_by_whoever_waits(person, plan, task, monkeypatch):
    frames = []

    class Display:
        def show(self, view, *, final=False):
            frames.append((view.round, final, threading.current_thread().name))

    monkeypatch.setattr("flnb.coordinator.run.progress.here", lambda later: Display())
    run = person().run(plan.replace(rounds=5000), task)
    run.live()
    run.on_change(lambda view: run.stop() if view.round > 3 else None)
    run.wait(30)
    assert {name for _, _, name in frames} == {"MainThread", "flnb-connection"}
    assert frames[-1] == (run.view.round, True, "MainThread")
    assert len({number for number, _, _ in frames}) > 1


def test_a_closed_connection_lets_nobody_wait_for_ever(coord, person, plan, task):
    there = person()
    run = there.run(plan.replace(rounds=5000), task, name="first")
    threading.Timer(0.3, there.close).start()
    with pytest.raises(UnreachableError, match="was closed"):
        run.wait(30)
    assert coord.lab.run("first").status is Status.RUNNING
    with pytest.raises(UnreachableError, match="was closed"):
        run.pause()


def _model():
    from torch import nn

    return nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
