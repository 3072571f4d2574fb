"""A lab: one coordinator at a time, readers at any time, resume from anywhere."""

import errno
import time
from dataclasses import replace

import pytest

import flnb
from flnb.core.errors import FingerprintError, LabHeldError, NotFoundError, StoreError, TaskError
from flnb.core.view import Status
from flnb.store import LabStore
from flnb.testing.stores import sample_run


def test_a_second_coordinator_of_this_process_is_the_first(coord):
    again = flnb.Coordinator(coord.lab.path).start()
    assert again is coord
    assert "already running" in again._repr_mimebundle_()["text/html"]


def test_another_process_is_told_who_holds_the_lab(coord, interpreters):
    done = interpreters.run("import flnb; flnb.Coordinator(sys.argv[1]).start()", coord.lab.path)
    assert done.returncode
    assert LabHeldError.__name__ in done.stderr
    assert "coordinator (process" in done.stderr


def test_another_process_reads_while_the_coordinator_writes(coord, plan, task, interpreters):
    run = coord.run(plan, task).wait(60)
    query = f"SELECT count(*) AS n FROM metrics WHERE run = '{run.name}'"
    program = f"import flnb; print(flnb.open(sys.argv[1]).sql({query!r}).df()['n'][0])"
    there = interpreters.run(program, coord.lab.path)
    assert int(there.stdout) == len(run.metrics)


def test_another_process_may_pause_a_run(coord, plan, task, interpreters):
    run = coord.run(plan.replace(rounds=2000), task)
    flnb.open(coord.lab.path)
    program = f"import flnb; flnb.open(sys.argv[1]).run({run.name!r}).pause()"
    assert interpreters.run(program, coord.lab.path).returncode == 0
    assert run.wait(30).status is Status.PAUSED


def test_another_process_may_resume_a_run(coord, plan, task, interpreters):
    run = coord.run(plan.replace(rounds=2000), task)
    run.pause()
    run.wait(60)
    program = f"import flnb; flnb.open(sys.argv[1]).resume({run.name!r})"
    assert interpreters.run(program, coord.lab.path).returncode == 0
    deadline = time.monotonic() + 20
    while run.status is Status.PAUSED and time.monotonic() < deadline:
        time.sleep(0.05)
    assert run.status is Status.RUNNING
    run.stop().wait(60)


def test_a_lab_is_read_without_a_coordinator(tmp_path, plan, task):
    with flnb.Coordinator(tmp_path / "lab") as coord:
        coord.simulate(task, workers=0)
        name = coord.run(plan, task).wait(60).name
    lab = flnb.open(tmp_path / "lab")
    run = lab.run(name)
    assert (run.status, run.view.round) == (Status.FINISHED, 4)
    assert len(run.metrics) == 16
    assert len(lab.runs().df()) == 1


def test_a_stopped_coordinator_leaves_its_runs_resumable(tmp_path, plan, task):
    whole = plan.replace(rounds=12)
    with flnb.Coordinator(tmp_path / "whole") as coord:
        coord.simulate(task, workers=0)
        expected = coord.run(whole, task).wait(60).parameters_sha256
    with flnb.Coordinator(tmp_path / "lab") as coord:
        coord.simulate(task, workers=0)
        run = coord.run(whole, task)
    lab = flnb.open(tmp_path / "lab")
    assert lab.run(run.name).status in {Status.PAUSED, Status.FINISHED}
    if lab.run(run.name).status is Status.PAUSED:
        with flnb.Coordinator(lab):
            assert lab.resume(run.name).wait(60).parameters_sha256 == expected


def test_another_task_is_refused_with_what_differs(coord, plan, task):
    run = coord.run(plan.replace(rounds=500), task)
    run.pause()
    run.wait(60)
    other = flnb.tasks.digits(model="softmax", split=flnb.IID(clients=6, seed=1))
    with pytest.raises(FingerprintError, match="data: was") as caught:
        coord.lab.resume(run, task=other)
    assert set(caught.value.differs) == {"data"}


def test_a_task_from_a_cell_must_be_given_again(tmp_path, plan):
    made_by_hand = flnb.tasks.digits(model="softmax", split=flnb.IID(clients=6, seed=0))
    made_by_hand = made_by_hand.referred(None)
    with flnb.Coordinator(tmp_path / "lab") as coord:
        coord.simulate(made_by_hand, workers=0)
        run = coord.run(plan.replace(rounds=500), made_by_hand)
        run.pause()
        run.wait(60)
    with flnb.Coordinator(tmp_path / "lab") as coord:
        with pytest.raises(TaskError, match="defined in a notebook"):
            coord.lab.resume(run.name)
        resumed = coord.lab.resume(run.name, task=made_by_hand)
        resumed.stop().wait(60)


def test_a_misspelt_run_gets_the_nearest_name(coord, plan, task):
    coord.run(plan, task, name="quiet-otter").wait(60)
    with pytest.raises(NotFoundError, match="did you mean 'quiet-otter'"):
        coord.lab.run("quiet-oter")


def test_a_lab_in_s3_needs_a_database_for_its_state(monkeypatch):
    monkeypatch.delenv("DATABASE_URL", raising=False)
    with pytest.raises(StoreError, match="needs a database for its state") as refused:
        flnb.open("s3://bucket/lab")
    assert 'state="postgresql://user@host/database"' in refused.value.hint


def test_a_start_that_fails_lets_the_lab_go(tmp_path, monkeypatch):
    def no_files(_name):
        raise OSError(errno.EMFILE, "Too many open files")

    coordinator = flnb.Coordinator(tmp_path / "lab")
    with monkeypatch.context() as full:
        full.setattr("flnb.coordinator.coordinator.LoopThread", no_files)
        with pytest.raises(OSError, match="Too many open files"):
            coordinator.start()
    assert not coordinator.running
    with coordinator:
        assert coordinator.running


def test_nothing_is_left_running_after_stop(tmp_path, plan, task, no_leaks):
    with flnb.Coordinator(tmp_path / "lab") as coord:
        coord.simulate(task, workers=0)
        coord.run(plan, task).wait(60)


def test_a_run_of_before_with_an_infinite_bound_is_listed_and_opened(tmp_path):
    store, plan = LabStore.open(tmp_path / "lab"), flnb.Plan(rounds=9)
    infinite = plan.to_yaml().replace("deadline_s: null", "deadline_s: .inf")
    store.state.create_run(replace(sample_run(), plan_yaml=infinite))
    store.close()
    lab = flnb.open(tmp_path / "lab")
    (run,) = lab.runs()
    assert run.plan == plan
    assert (run.view.rounds, len(lab.runs().df())) == (9, 1)
