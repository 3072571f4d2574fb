"""A run that another process drives, found again: after a kernel restart nothing else is needed."""

import time

import pytest

import flnb
from flnb.coordinator.following import Following
from flnb.core.errors import NotFoundError, StorageUnreachableError
from flnb.core.view import Status
from flnb.store import LabStore
from flnb.testing.stores import sample_closing, sample_run

DRIVES = """
import flnb
lab, rounds, need = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
task = flnb.tasks.digits(model="softmax", split=flnb.IID(clients=6, seed=0))
plan = flnb.Plan(strategy=flnb.FedAvg(local=flnb.Local(lr=0.1)), rounds=rounds, invite=4, need=need, seed=1)
coord = flnb.Coordinator(lab).start()
coord.simulate(task, workers=0, drop=0.97 if need > 1 else 0.0)
coord.run(plan, task, name="first")
print("runs", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def drive(tmp_path, interpreters):
    """Starts a process that drives the run `first` until its input ends; gives it and its lab."""
    processes = []

    def start(rounds, need=1):
        lab = flnb.open(tmp_path / "lab")  # first, for a run may rest soon after it began
        process = interpreters.start(DRIVES, tmp_path / "lab", str(rounds), str(need))
        processes.append(process)
        assert process.stdout.readline() == "runs\n"
        return process, lab

    yield start
    for process in processes:
        process.close()


def until(true, timeout_s=30):
    deadline_s = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < deadline_s
        time.sleep(0.02)


def test_a_lab_that_does_not_answer_for_a_while_is_followed_on(coord, plan, task, monkeypatch):
    run = coord.run(plan.replace(rounds=5000), task, name="first")
    there = flnb.open(coord.lab.path)
    state, failed = there.store.state, []
    known, following = state.run, Following(there, state.run(run.id))

    def fails(which):
        if len(failed) == 3:
            return known(which)
        failed.append(which)
        raise StorageUnreachableError("the database", "no answer")

    monkeypatch.setattr(state, "run", fails)
    until(lambda: len(failed) == 3)
    run.pause().wait(30)
    assert following.done.result(timeout=20) is None


def test_rounds_that_come_out_otherwise_when_they_are_done_again_are_followed(tmp_path):
    store = LabStore.open(tmp_path / "lab")
    store.state.create_run(sample_run())
    for number in (1, 2, 3):
        store.state.close_round(sample_closing(number))
    picture = Following(flnb.open(tmp_path / "lab"), store.state.run("run001")).picture
    assert picture.view.round == 3
    other = sample_closing(2, clients=5)
    assert store.state.take_back_if_other(other)
    store.state.close_round(other)
    until(lambda: [(row.round, row.accepted) for row in picture.view.rows] == [(2, 5), (1, 3)])
    store.close()


def test_an_attached_run_moves_is_told_things_and_is_waited_for(drive):
    _, lab = drive(rounds=5000)
    run = lab.attach("first")
    seen = []
    run.on_change(lambda view: seen.append(view.round))
    until(lambda: len(set(seen)) > 2)
    assert run.pause().wait(30).status is Status.PAUSED
    assert seen == sorted(seen)
    rested_at = run.view.round
    assert len(run.rounds) == rested_at == seen[-1]
    run.resume().live()
    until(lambda: seen[-1] > rested_at)
    assert run.stop().wait(30).status is Status.STOPPED


def test_the_same_handle_is_waited_for_again_after_a_rest(drive):
    _, lab = drive(rounds=5000)
    run = lab.attach("first").pause().wait(30)
    rested_at = run.view.round
    run.resume()
    run.pause().wait(30)
    assert run.view.round >= rested_at
    run.stop().wait(30)


def test_a_run_whose_driver_is_killed_is_interrupted_and_not_waited_for(drive):
    process, lab = drive(rounds=5000)
    run = lab.attach("first")
    process.kill()
    process.wait(10)
    assert run.wait(30).status is Status.INTERRUPTED


def test_why_it_paused_by_itself_is_raised_elsewhere_too(drive):
    _, lab = drive(rounds=5, need=4)
    with pytest.raises(flnb.FLBaseError, match="needs 4 updates") as caught:
        lab.attach("first").wait(60)
    assert "run.resume" in caught.value.hint
    for again in (lab.attach("first"), lab.run("first")):  # it rests already
        with pytest.raises(flnb.FLBaseError, match="needs 4 updates"):
            again.wait(1)


def test_a_finished_run_is_just_there(coord, plan, task):
    coord.run(plan, task, name="first").wait(60)
    assert coord.lab.attach("first").wait(1).view.round == 4
    with pytest.raises(NotFoundError, match="fist"):
        coord.lab.attach("fist")
