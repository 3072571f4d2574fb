"""A run as people hold it: it returns at once, can be told things, and says what happened."""

import asyncio
import signal
import threading
import time
from concurrent.futures import Future
from types import SimpleNamespace

import numpy as np
import pytest

import flnb
from flnb.core.errors import (
    InsufficientClientsError,
    NotFoundError,
    PlanError,
    RoundStateError,
    TaskError,
)
from flnb.core.view import RunView, Status


def paused(coord, plan, task):
    """A run that was asked to pause as soon as it started."""
    run = coord.run(plan.replace(rounds=200), task)
    run.pause()
    return run.wait(60)


def test_a_run_returns_at_once_and_ends_with_its_plan(coord, plan, task):
    run = coord.run(plan, task, name="first")
    assert run.status in {Status.RUNNING, Status.FINISHED}
    assert run.wait(60).status is Status.FINISHED
    assert run.view.round == 4
    assert "first" in repr(run)


def test_the_same_seed_gives_the_same_bits_and_another_seed_does_not(coord, plan, task):
    runs = [coord.run(plan.replace(seed=seed), task).wait(60) for seed in (1, 1, 2)]
    first, again, other = (run.parameters_sha256 for run in runs)
    assert first == again != other


def test_two_runs_may_go_at_the_same_time_without_touching_each_other(coord, plan, task):
    alone = coord.run(plan, task).wait(60)
    together = [coord.run(plan, task), coord.run(plan.replace(seed=9), task)]
    assert together[0].wait(60).parameters_sha256 == alone.parameters_sha256
    assert together[1].wait(60).parameters_sha256 != alone.parameters_sha256


def test_a_paused_run_rests_at_a_saved_round_and_goes_on(coord, plan, task):
    run = paused(coord, plan, task)
    assert run.status is Status.PAUSED
    rested_at = run.view.round
    assert run.round(rested_at).closing.snapshot
    run.resume(rounds=rested_at + 2)
    assert run.wait(60).view.round == rested_at + 2


@pytest.mark.parametrize(("asked", "doing"), [("pause", "pausing"), ("stop", "stopping")])
def test_a_run_says_what_it_was_asked_to_do_until_it_rests(asked, doing):
    view = RunView("slow", "main", 1, Status.RUNNING, rounds=9, round=3)
    rests = Future()
    told = {asked: lambda: None, "plan_yaml": "rounds: 9"}
    source = SimpleNamespace(view=view, name="slow", done=lambda: rests, **told)
    run = flnb.Run(source)
    assert repr(getattr(run, asked)()) == f"Run('slow', {doing}, round 3/9)"
    assert doing in run._repr_mimebundle_()["text/html"]
    rests.set_result(None)
    assert repr(run) == "Run('slow', running, round 3/9)", "somebody else may have resumed it"


def test_a_pause_changes_no_bit(coord, plan, task):
    whole = coord.run(plan.replace(rounds=12), task).wait(60)
    run = coord.run(plan.replace(rounds=12), task)
    run.pause()
    run.wait(60)
    if run.status is Status.PAUSED:
        run.resume().wait(60)
    assert run.parameters_sha256 == whole.parameters_sha256


def test_a_stopped_run_keeps_its_rounds_and_cannot_go_on(coord, plan, task):
    run = coord.run(plan.replace(rounds=500), task)
    run.stop()
    assert run.wait(60).status is Status.STOPPED
    with pytest.raises(RoundStateError, match="stopped"):
        run.resume()


def test_only_what_a_client_does_not_compute_may_change_on_the_way(coord, plan, task):
    run = paused(coord, plan, task)
    with pytest.raises(PlanError, match="'seed' is settled"):
        run.resume(seed=3)


def test_metrics_are_tidy_and_complete(coord, plan, task):
    run = coord.run(plan, task).wait(60)
    rows = run.metrics.df()
    assert list(rows.columns)[:4] == ["run", "branch", "generation", "round"]
    central = rows.query("scope == 'central' and metric == 'accuracy'")
    assert central["round"].tolist() == [1, 2, 3, 4]


def test_central_evaluation_every_other_round_and_at_the_end(coord, plan, task):
    every_third = flnb.Evaluation(central_every=3, federated=True)
    run = coord.run(plan.replace(evaluation=every_third), task).wait(60)
    rows = run.metrics.df()
    assert sorted(set(rows.query("scope == 'central'")["round"])) == [3, 4]
    assert sorted(set(rows.query("scope == 'federated'")["round"])) == [1, 2, 3, 4]


def test_the_model_in_history_is_the_one_that_was_measured(coord, plan, task):
    run = coord.run(plan, task).wait(60)
    module = task.module(run.model())
    x, y = task.test_tensors(range(len(task.data.test.y)))
    accuracy = float((module(x).argmax(1) == y).double().mean())
    assert accuracy == pytest.approx(run.view.rows[0].metrics["accuracy"], abs=1e-12)


def test_a_round_says_who_took_part_and_why_it_closed(coord, plan, task):
    run = coord.run(plan, task).wait(60)
    details = run.round(2)
    assert "4 invited · 4 used" in details.why()
    assert len(details.clients) == 4
    assert details.clients.df()["n_examples"].min() > 0
    with pytest.raises(NotFoundError):
        run.round(99)


def test_awaiting_a_run_does_not_block_the_loop(coord, plan, task):
    async def main():
        ticks = 0
        waiting = asyncio.ensure_future(_wait(coord.run(plan, task)))
        while not waiting.done():
            await asyncio.sleep(0.005)
            ticks += 1
        return ticks, waiting.result().status

    ticks, status = asyncio.run(main())
    assert ticks > 1
    assert status is Status.FINISHED


async def _wait(run):
    return await run


def test_cancelling_an_await_cancels_the_wait_only(coord, plan, task):
    async def main():
        waiting = asyncio.ensure_future(_wait(run))
        await asyncio.sleep(0.01)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    run = coord.run(plan, task)
    asyncio.run(main())
    assert run.wait(60).status is Status.FINISHED


@pytest.fixture
def interruptible():
    """^C interrupts, also where the tests were started in the background with ^C switched off."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_an_interrupt_detaches_and_says_so(coord, plan, task, capsys, monkeypatch, interruptible):
    monkeypatch.setattr("flnb.coordinator.run.SECOND_INTERRUPT_S", 0.01)
    run = coord.run(plan.replace(rounds=400), task)
    main = threading.main_thread().ident
    threading.Timer(0.2, signal.pthread_kill, [main, signal.SIGINT]).start()
    run.wait(60)
    assert run.status is Status.RUNNING
    assert "still training" in capsys.readouterr().err
    run.stop().wait(60)


def test_an_error_inside_with_pauses_the_run(coord, plan, task):
    with pytest.raises(ZeroDivisionError), coord.run(plan.replace(rounds=500), task) as run:
        raise ZeroDivisionError
    assert run.wait(60).status is Status.PAUSED


def test_watchers_see_every_round_and_a_broken_one_does_no_harm(coord, plan, task):
    seen = []

    def broken(view):
        raise ValueError(view.name)

    run = coord.run(plan, task)
    run.on_change(broken)
    run.on_change(lambda view: seen.append(view.round))
    run.wait(60)
    assert seen == sorted(seen)
    assert seen[-1] == 4


def test_too_few_updates_pause_the_run_with_the_numbers(coord, task, plan):
    coord.simulate(task, workers=0, drop=0.97)
    run = coord.run(plan.replace(need=4), task)
    with pytest.raises(InsufficientClientsError, match="needs 4 updates") as caught:
        run.wait(60)
    assert (caught.value.need, run.status) == (4, Status.PAUSED)
    assert "needs 4 updates" in run.view.error
    run.resume(need=1)
    with pytest.raises(InsufficientClientsError) as caught:
        run.wait(60)
    assert caught.value.need == 1


def test_a_task_without_clients_here_is_refused_with_what_to_do(coord, plan):
    other = flnb.tasks.digits(model="softmax", split=flnb.IID(clients=3, seed=5))
    with pytest.raises(PlanError, match="no clients here"):
        coord.run(plan, other)


def test_more_invited_than_there_are_is_refused_before_anything_is_written(coord, plan, task):
    with pytest.raises(PlanError, match="invite=9, but the task has 6 clients"):
        coord.run(plan.replace(invite=9), task)
    assert len(coord.lab.runs()) == 0


def test_a_name_is_taken_once(coord, plan, task):
    run = coord.run(plan, task, name="twin").wait(60)
    with pytest.raises(PlanError, match=f"'{run.id}' is the identity of the run 'twin'"):
        coord.run(plan, task, name=run.id)
    with pytest.raises(PlanError, match="has a run 'twin' already"):
        coord.run(plan, task, name="twin")
    with pytest.raises(PlanError, match="a run's name has"):
        coord.run(plan, task, name="a'; DROP TABLE runs")


def test_reprs_read_nothing_from_the_disk(coord, plan, task, monkeypatch):
    run = coord.run(plan, task).wait(60)
    objects = (coord.lab, coord, run, run.round(1), coord.lab.runs())
    with monkeypatch.context() as no_disk:
        no_disk.setattr("flnb.store.database.Database.reading", None)
        for shown in objects:
            assert repr(shown)
            assert "text/html" in shown._repr_mimebundle_()


def test_a_callback_that_waits_for_the_coordinator_is_refused_instead_of_hanging(coord):
    caught = []

    def wait_there():
        try:
            coord._thread().call(asyncio.sleep(0))
        except RoundStateError as error:
            caught.append(error)

    coord._thread().loop.call_soon_threadsafe(wait_there)
    for _ in range(100):
        if caught:
            break
        time.sleep(0.02)
    assert caught


def test_a_nan_update_is_refused_and_the_round_goes_on(tmp_path, plan):
    data = flnb.tasks.digits(model="softmax", split=flnb.IID(clients=4, seed=0)).data
    x = data.train.x.copy()
    x[data.split.indices("c002")] = np.nan
    poisoned = flnb.Task(
        model=_softmax, train=(x, data.train.y), test=(data.test.x, data.test.y), split=data.split
    )
    with flnb.Coordinator(tmp_path / "lab") as coord:
        coord.simulate(poisoned, workers=0)
        run = coord.run(plan.replace(rounds=2, need=2), poisoned).wait(60)
    why = run.round(1).why()
    assert "c002 refused" in why
    assert "NaN" in why
    assert np.isfinite(run.model().values).all()


def test_a_task_that_raises_in_one_client_leaves_its_traceback_on_the_round(tmp_path, plan):
    data = flnb.tasks.digits(model="softmax", split=flnb.IID(clients=4, seed=0)).data
    y = data.train.y.copy()
    y[data.split.indices("c001")] = 99
    broken = flnb.Task(
        model=_softmax, train=(data.train.x, y), test=(data.test.x, data.test.y), split=data.split
    )
    with flnb.Coordinator(tmp_path / "lab") as coord:
        coord.simulate(broken, workers=0)
        run = coord.run(plan.replace(rounds=1, need=2), broken).wait(60)
        assert "c001 failed" in run.round(1).why()
        assert "IndexError: Target 99" in run.round(1).why()


def test_a_model_without_parameters_is_no_task(coord, plan):
    from torch import nn

    empty = flnb.Task(model=nn.ReLU, train=_few(), test=_few(), split=flnb.IID(clients=2))
    with pytest.raises(TaskError):
        coord.simulate(empty, workers=0)


def _softmax():
    from torch import nn

    return nn.Sequential(nn.Flatten(), nn.Linear(64, 10))


def _few():
    return np.zeros((8, 4), np.float32), np.zeros(8, np.int64)
