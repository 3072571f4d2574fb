"""Errors, crashes and callers that come at a bad moment: what a run keeps, and who goes on with it."""

import gc
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace

import pytest

import flnb
from flnb.coordinator import launching
from flnb.coordinator.picture import Picture
from flnb.core.errors import InsufficientClientsError, StorageFullError, WorkerDiedError
from flnb.core.view import RunView, Status
from flnb.store import StateStore
from tests.e2e.crash_subject import task as subject
from tests.e2e.victims import Nursery, await_

FAR = 10_000
"""A round that no run comes to."""
NAME = "twice"
VICTIM = f"""
import os, signal, sys, time
import flnb
from flnb.store import StateStore
from tests.e2e.crash_subject import task
lab, plan, last = sys.argv[1], flnb.Plan.from_yaml(sys.argv[2]), int(sys.argv[3])
close_round = StateStore.close_round
def close_and_stop(state, closing):
    closed = close_round(state, closing)
    if closing.round == last:
        os.kill(os.getpid(), signal.SIGSTOP)  # other threads may take a moment to hear of it
        time.sleep(600)
    return closed
StateStore.close_round = close_and_stop
coordinator, digits = flnb.Coordinator(lab).start(), task(clients=6)
coordinator.simulate(digits, workers=0)
coordinator.run(plan, digits, name="{NAME}").wait()
"""


@pytest.fixture(scope="module")
def nursery(interpreters):
    nursery = Nursery(interpreters)
    yield nursery
    nursery.close()


@pytest.fixture
def stopped_after(nursery, tmp_path):
    """A process that holds the lab, and writes nothing more once its run has closed a round."""
    script = tmp_path / "victim.py"
    script.write_text(VICTIM)

    def stopped_after(last, plan):
        victim = nursery.begin("script", script, tmp_path / "lab", plan.to_yaml(), str(last))
        victim.stopped()
        return victim

    return stopped_after


@contextmanager
def failing(owner, method, error, when):
    """Let a method raise, for some of its arguments."""
    real = getattr(owner, method)

    def fails(*arguments):
        if when(*arguments):
            raise error
        return real(*arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(owner, method, fails)
        yield


def workers_that_die_in(round_number, population):
    error = WorkerDiedError("c000")
    return failing(population.engine, "begin", error, lambda work, _: work.round == round_number)


def journal_without_room_for(kind, round_number, state):
    def when(_run, round_, _attempt, step, _payload):
        return (round_, step) == (round_number, kind)

    return failing(state, "journal", StorageFullError("the journal", 0), when)


def closed_rounds(run):
    return [row["round"] for row in run.rounds]


def check_saved(run, lab, round_number):
    """The head is this round, and it is a commit that can be read."""
    head = lab.store.state.head(run.id)
    assert (run.status, run.view.round, head.round) == (Status.PAUSED, round_number, round_number)
    assert head.snapshot
    assert run.round(round_number).closing.snapshot == head.snapshot
    assert run.model().sha256() == run.parameters_sha256


@pytest.mark.parametrize("commit_every", [2, FAR])
def test_a_run_that_too_few_clients_pause_saves_its_last_round(coord, plan, task, commit_every):
    coord.simulate(task, workers=0, drop=0.2)
    run = coord.run(plan.replace(rounds=6, need=3, commit_every=commit_every), task)
    with pytest.raises(InsufficientClientsError, match="round 4 needs 3 updates"):
        run.wait(60)
    check_saved(run, coord.lab, 3)
    run.resume(need=1).wait(60)
    assert (run.status, closed_rounds(run)) == (Status.FINISHED, [1, 2, 3, 4, 5, 6])


def test_a_run_that_an_error_pauses_saves_its_last_round_and_goes_on(coord, plan, task):
    unsaved = plan.replace(commit_every=FAR)
    undisturbed = coord.run(unsaved, task).wait(60)
    with workers_that_die_in(3, coord.simulate(task, workers=0)):
        run = coord.run(unsaved, task)
        with pytest.raises(WorkerDiedError):
            run.wait(60)
    check_saved(run, coord.lab, 2)
    assert run.resume().wait(60).parameters_sha256 == undisturbed.parameters_sha256
    assert closed_rounds(run) == [1, 2, 3, 4]


def test_a_snapshot_that_comes_late_is_shown_with_its_round(coord, plan, task):
    views = []
    with workers_that_die_in(3, coord.simulate(task, workers=0)):
        run = coord.run(plan.replace(commit_every=FAR), task)
        run.on_change(views.append)
        with pytest.raises(WorkerDiedError):
            run.wait(60)
    snapshot = run.round(2).closing.snapshot
    shown = [view.rows[0].commit for view in views if view.round == 2]
    assert (shown[0], shown[-1]) == ("", snapshot[:6].lower())
    assert [row.round for row in run.view.rows] == [2, 1]
    assert [row["snapshot"] for row in run.rounds] == [None, snapshot]
    assert [row["parameters_sha256"] for row in run.rounds] == [None, run.parameters_sha256]


def test_a_late_snapshot_of_an_earlier_round_changes_that_row_and_nothing_else(coord, plan, task):
    run = coord.run(plan.replace(commit_every=1), task).wait(60)
    closings = [run.round(number).closing for number in (1, 2, 3)]
    first = RunView(NAME, "main", 1, Status.RUNNING, rounds=4)
    picture = Picture(first, [replace(closing, snapshot=None) for closing in closings])
    before, told = picture.view, []
    picture.watch(told.append)
    picture.on_closed(closings[1])
    rows = list(before.rows)
    rows[1] = replace(rows[1], commit=closings[1].snapshot[:6].lower())
    assert picture.view == replace(before, rows=tuple(rows))
    assert told == [picture.view]


@pytest.mark.parametrize("kind", ["assigned", "answered"])
def test_no_round_closes_without_its_journal_and_resume_does_it_again(coord, plan, task, kind):
    unsaved = plan.replace(commit_every=FAR)
    undisturbed = coord.run(unsaved, task).wait(60)
    with journal_without_room_for(kind, 3, coord.lab.store.state):
        run = coord.run(unsaved, task)
        with pytest.raises(StorageFullError, match="no space left at the journal"):
            run.wait(60)
        check_saved(run, coord.lab, 2)
        assert closed_rounds(run) == [1, 2]
    assert run.resume().wait(60).parameters_sha256 == undisturbed.parameters_sha256
    assert closed_rounds(run) == [1, 2, 3, 4]
    assert coord.lab.store.state.journal_of_open_round(run.id) == []


def test_clients_train_while_the_journal_is_still_being_written(coord, plan, task, monkeypatch):
    engine, state = coord.simulate(task, workers=0).engine, coord.lab.store.state
    collect, journal, trained, seen = engine.collect, state.journal, threading.Event(), []

    def collects(*given):
        report = collect(*given)
        trained.set()
        return report

    def writes(*step):
        seen.append(trained.wait(20))
        journal(*step)

    monkeypatch.setattr(engine, "collect", collects)
    monkeypatch.setattr(state, "journal", writes)
    run = coord.run(plan.replace(rounds=1), task).wait(60)
    assert (run.status, seen) == (Status.FINISHED, [True, True])


def test_a_stop_does_not_mind_a_journal_that_cannot_be_written(
    coord, plan, task, monkeypatch, caplog
):
    training, stopped = threading.Event(), threading.Event()
    engine = coord.simulate(task, workers=0).engine
    collect = engine.collect

    def collects(*given):
        training.set()
        stopped.wait(20)
        return collect(*given)

    monkeypatch.setattr(engine, "collect", collects)
    with journal_without_room_for("assigned", 1, coord.lab.store.state):
        run = coord.run(plan, task)
        training.wait(20)
        run.stop()
        stopped.set()
        assert run.wait(60).status is Status.STOPPED
    gc.collect()
    assert caplog.messages == []


@pytest.mark.parametrize(("commit_every", "kept"), [(FAR, 0), (3, 3)])
def test_rounds_that_a_crash_left_unsaved_come_again_by_the_changed_plan(
    stopped_after, plan, tmp_path, commit_every, kept
):
    plan = plan.replace(rounds=8, commit_every=commit_every)
    stopped_after(5, plan).kill()
    lab = flnb.open(tmp_path / "lab")
    as_left = [(number, 4, 4) for number in range(1, 6)]
    assert invited(lab) == as_left
    with flnb.Coordinator(flnb.open(lab.path)) as coord:
        assert invited(coord.lab) == as_left
        run = coord.lab.resume(NAME, changes={"rounds": 6, "invite": 5}).wait(60)
        done_again = [(number, 5, 5) for number in range(kept + 1, 7)]
        assert invited(coord.lab) == as_left[:kept] + done_again
        assert (run.view.round, run.view.rounds, run.plan.invite) == (6, 6, 5)
        assert [row.invited for row in run.view.rows] == [5] * (6 - kept) + [4] * kept
        anew = coord.run(plan.replace(rounds=6, invite=5), subject(clients=6)).wait(60)
        assert (run.parameters_sha256 == anew.parameters_sha256) is (kept == 0)
    assert invited(lab) == as_left[:kept] + done_again


def invited(lab):
    """Of each round of the killed run: invited clients, by the round and by the assignments."""
    query = (
        "SELECT round, invited, (SELECT count(*) FROM assignments AS a WHERE a.run = rounds.run "
        f"AND a.round = rounds.round) AS rows FROM rounds WHERE run = '{NAME}' ORDER BY round"
    )
    return [(row["round"], row["invited"], row["rows"]) for row in lab.sql(query)]


def test_a_run_that_two_resume_at_once_is_driven_once(coord, plan, task, monkeypatch):
    engine, begun = coord.simulate(task, workers=0).engine, []
    begin = engine.begin
    monkeypatch.setattr(engine, "begin", lambda *do: begun.append(do[0].round) or begin(*do))
    coord.run(plan.replace(rounds=FAR), task, name=NAME).pause().wait(60)
    prepare, slow = launching.resumed_job, threading.Event()  # never set
    monkeypatch.setattr(launching, "resumed_job", lambda *job: slow.wait(0.1) or prepare(*job))
    with ThreadPoolExecutor(2) as pool:
        labs = (coord.lab, flnb.open(coord.lab.path))
        first, second = pool.map(lambda lab: lab.resume(NAME), labs)
    first.pause().wait(60)
    assert begun == list(range(1, first.view.round + 1)), "no round is handed out twice"
    first.resume(rounds=len(begun) + 1).wait(60)
    assert second.wait(60).view is first.view
    assert (second.status, closed_rounds(second)) == (Status.FINISHED, begun)


def test_who_resumes_while_another_thread_takes_the_lab_gets_its_coordinator(
    tmp_path, plan, task, monkeypatch
):
    with flnb.Coordinator(tmp_path / "lab") as coord:
        coord.simulate(task, workers=0)
        coord.run(plan.replace(rounds=FAR), task, name=NAME).pause().wait(60)
    labs = [flnb.open(tmp_path / "lab") for _ in range(2)]
    interrupted, held = StateStore.interrupted, threading.Event()

    def slowly(state):
        held.set()
        time.sleep(0.3)
        interrupted(state)

    monkeypatch.setattr(StateStore, "interrupted", slowly)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(labs[0].resume, NAME)
        held.wait(20)
        second = labs[1].resume(NAME, workers=0)
        with labs[1].coordinator:
            second.stop().wait(60)
            assert first.result(20).view is second.view


def test_who_asks_a_holder_that_ends_takes_the_lab_and_goes_on(stopped_after, plan, tmp_path):
    victim = stopped_after(2, plan)
    lab = flnb.open(tmp_path / "lab")
    state = lab.store.state
    with ThreadPoolExecutor(1) as pool:
        resuming = pool.submit(lab.resume, NAME)
        await_(lambda: resuming.done() or state.pending_commands(), "nobody was asked")
        (asked,) = state.pending_commands()
        assert not resuming.done()
        victim.kill()
        run = resuming.result(60)
    with lab.coordinator:
        assert run.wait(60).status is Status.FINISHED
        assert closed_rounds(run) == [1, 2, 3, 4]
        assert state.pending_commands() == []
        assert state.command(asked.id).result == "the coordinator that was asked has ended"
