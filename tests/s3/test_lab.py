"""A lab whose commits lie in S3: train, branch, roll back, resume; and a line that is cut meanwhile."""

import pytest

import flnb
from flnb import tasks
from flnb.coordinator.lab import Lab
from flnb.core.errors import StorageUnreachableError, StoreError
from flnb.core.view import Status
from flnb.store import LabStore
from flnb.testing.stores import same_bits


@pytest.fixture(scope="module")
def task():
    return tasks.digits(model="softmax", split=flnb.IID(clients=6, seed=0))


@pytest.fixture
def plan():
    local = flnb.Local(epochs=1, batch_size=32, lr=0.1)
    return flnb.Plan(strategy=flnb.FedAdam(local=local), rounds=4, invite=4, seed=1, commit_every=1)


def lab_in(folder, place):
    state = LabStore.open(folder).state
    return Lab(LabStore(folder, state, place=place))


@pytest.fixture
def coord(tmp_path, place, task):
    with flnb.Coordinator(lab_in(tmp_path / "lab", place)) as coordinator:
        coordinator.simulate(task, workers=0)
        yield coordinator


def test_train_branch_roll_back_and_resume_end_with_the_bits_of_a_local_lab(
    coord, plan, task, tmp_path
):
    run = coord.run(plan, task, name="otter").wait(60)
    branch = run.branch("same", at=2).resume().wait(60)
    run.rollback(to=1).apply("why not")
    run.resume().wait(60)
    with flnb.Coordinator(tmp_path / "beside") as other:
        other.simulate(task, workers=0)
        expected = other.run(plan, task).wait(60)
        here, there = run.checkpoint(4), expected.checkpoint(4)
        assert here.sha256 == there.sha256 == branch.parameters_sha256
        assert run.view.generation == 2
        assert run.checkpoint("before-rollback-1").sha256 == here.sha256
        assert same_bits({"p": here.model().values}, {"p": there.model().values})
    assert not (tmp_path / "lab" / "history").exists()


def test_a_run_whose_bucket_is_gone_for_long_pauses_and_says_why_and_goes_on_later(
    line, coord, plan, task, monkeypatch
):
    expected = coord.run(plan, task, name="whole").wait(60).parameters_sha256
    coord.lab.store.writer.patience_s = 0.2
    run = coord.run(plan.replace(rounds=40), task, name="cut")
    cuts = iter([line.cut])
    run.on_change(lambda view: next(cuts, bool)() if view.round == 2 else None)
    with pytest.raises(StorageUnreachableError, match="does not answer"):
        run.wait(60)
    assert (run.status, "does not answer" in str(run.view.error)) == (Status.PAUSED, True)
    with pytest.raises(StorageUnreachableError):
        run.resume().wait(60)
    line.mend()
    assert run.resume(rounds=4).wait(60).parameters_sha256 == expected


def test_a_lab_is_not_driven_from_a_bucket_that_ignores_conditions(server, line, tmp_path, place):
    if server.checks_keys:
        pytest.skip("headers are signed here: none can be taken out on the way")
    line.deaf = True
    with pytest.raises(StoreError, match="ignores conditional writes"):
        flnb.Coordinator(lab_in(tmp_path / "lab", place)).start()
