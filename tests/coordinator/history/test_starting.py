"""Runs that start from a model from elsewhere: same bits, checked, and known for ever."""

import hashlib
import pickle

import numpy as np
import pytest
import torch

import flnb
from flnb.coordinator.control.plain_history import checkpoint_from_json, checkpoint_to_json
from flnb.coordinator.history.starting import begin_from
from flnb.coordinator.history.verifying import verify
from flnb.core.errors import DamagedError, DataError, NotFoundError, PlanError, TaskError
from flnb.tensors import Layout


@pytest.fixture(scope="module")
def lab(tmp_path_factory, task):
    """A finished run `otter`, and the file of its last version."""
    folder = tmp_path_factory.mktemp("lab") / "lab"
    plan = flnb.Plan(strategy=flnb.FedAvg(local=flnb.Local(lr=0.1)), rounds=2, invite=4, seed=1)
    with flnb.Coordinator(folder) as coord:
        coord.simulate(task, workers=0)
        coord.run(plan.replace(commit_every=1), task, name="otter").wait(60)
        coord.lab.run("otter").checkpoint().export(folder.parent / "m.safetensors")
        yield coord.lab


@pytest.fixture
def file(lab):
    return lab.path.parent / "m.safetensors"


def first_sha256(lab, start, task):
    return begin_from(lab, start, task.layout).model.sha256()


def test_whatever_it_comes_from_the_bits_are_the_same(lab, file, task, tmp_path):
    checkpoint = lab.run("otter").checkpoint()
    state = checkpoint.load_into(task.build()).state_dict()
    torch.save(state, tmp_path / "m.pt")
    arrays = {name: tensor.numpy() for name, tensor in state.items()}
    starts = [file, str(file), "otter@head", "otter@2", checkpoint, state, arrays]
    starts.append(tmp_path / "m.pt")
    assert {first_sha256(lab, start, task) for start in starts} == {checkpoint.sha256}


def test_a_run_starts_there_and_says_where_it_came_from(lab, file, task):
    plan = lab.run("otter").plan.replace(rounds=1)
    run = lab.coordinator.run(plan, task, name="heron", start=file).wait(60)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    assert f"heron starts from {file} (sha256 {digest[:12]})" in repr(run.history)
    record = lab.store.state.run("heron")
    meta = lab.store.history.meta(record.start["snapshot"])
    assert meta["start"] == {
        "source": str(file),
        "file_sha256": digest,
        "sha256": lab.run("otter").parameters_sha256,
    }
    assert run.checkpoint(1).metrics["loss"] < lab.run("otter").checkpoint(2).metrics["loss"]


def test_going_back_to_the_beginning_and_branches_of_it_start_there_too(lab, file, task):
    plan = lab.run("otter").plan.replace(rounds=1)
    run = lab.coordinator.run(plan, task, name="ibis", start="otter@best").wait(60)
    before = run.parameters_sha256
    assert run.branch("again", at=0).resume().wait(60).parameters_sha256 == before
    first, best = run.checkpoint(0), lab.run("otter").checkpoint("@best")
    assert (first.sha256, first.model().sha256()) == (best.sha256, best.sha256)
    assert lab.run("ibis/again").checkpoint(0).key == first.key
    assert first.diff(run.checkpoint("@head")).df()["equal"].max() < 1
    assert first_sha256(lab, "ibis@0", task) == best.sha256
    assert run.source.history().at(first.key).metrics == {}
    assert checkpoint_from_json(checkpoint_to_json(first))[2] == first.closing
    for dry_run in (False, True):
        with pytest.raises(PlanError, match="goes by 0"):
            run.alias("first", 0, dry_run=dry_run)
    run.rollback(to=0).apply("once more")
    assert run.resume().wait(60).parameters_sha256 == before
    other = lab.coordinator.run(plan, task).wait(60)
    assert other.parameters_sha256 != before
    assert verify(lab.store).problems == ()


def test_every_tensor_that_does_not_fit_is_named(lab, task):
    state = {
        "1.weight": np.zeros((10, 63), np.float32),
        "2.weight": np.zeros(3, np.int64),
        "1.bias": np.zeros(10, np.float64),
    }
    with pytest.raises(TaskError) as bad:
        begin_from(lab, state, task.layout)
    for words in ("1.weight is float32[10, 63], expected float32[10, 64]", "2.weight int64[3]"):
        assert words in str(bad.value)
    assert "1.bias is float64[10]" in str(bad.value)
    with pytest.raises(TaskError, match=r"missing: 1\.weight float32\[10, 64\]"):
        begin_from(lab, {"1.bias": np.zeros(10, np.float32)}, task.layout)


def test_values_that_are_not_finite_and_things_that_are_no_tensors_are_refused(lab, task):
    state = {"1.weight": np.zeros((10, 64), np.float32), "1.bias": np.full(10, np.nan, np.float32)}
    for bad in (np.nan, -np.inf):
        state["1.bias"][:] = bad
        with pytest.raises(TaskError, match=r"not finite: in 1\.bias"):
            begin_from(lab, state, task.layout)
    with pytest.raises(TaskError, match="'epoch' is a int"):
        begin_from(lab, {"epoch": 3}, task.layout)


def test_a_model_with_an_infinite_mask_is_started_from_and_one_that_is_no_number_is_not(lab):
    layout = Layout.of([("w", (2,), "float32", "parameter"), ("mask", (2,), "float32", "buffer")])
    state = {"w": np.ones(2, np.float32), "mask": np.array([0.0, -np.inf], np.float32)}
    assert begin_from(lab, state, layout).model.tensor("mask").tolist() == [0.0, -np.inf]
    state["mask"][0] = np.nan
    with pytest.raises(TaskError, match="not finite: in mask"):
        begin_from(lab, state, layout)


class Bomb:
    def __reduce__(self):
        return open, ("bomb", "w")


def test_a_file_that_would_run_code_runs_none(lab, task, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "m.pt").write_bytes(pickle.dumps({"1.weight": Bomb()}))
    torch.save({"1.weight": Bomb()}, tmp_path / "n.pt")
    for name in ("m.pt", "n.pt"):
        with pytest.raises(DataError, match="cannot be read as tensors") as refused:
            begin_from(lab, name, task.layout)
        assert "safetensors" in refused.value.hint
    assert not (tmp_path / "bomb").exists()


def test_what_is_not_there_or_no_tensors_is_said(lab, task, tmp_path):
    with pytest.raises(NotFoundError, match=r"no\.safetensors"):
        begin_from(lab, "no.safetensors", task.layout)
    with pytest.raises(NotFoundError, match="oter"):
        begin_from(lab, "oter@best", task.layout)
    (tmp_path / "x.safetensors").write_text("hello")
    with pytest.raises(DataError, match="cannot be read"):
        begin_from(lab, tmp_path / "x.safetensors", task.layout)


def test_a_start_that_is_damaged_is_named_and_not_used(lab, file, task):
    plan = lab.run("otter").plan.replace(rounds=1)
    run = lab.coordinator.run(plan, task, name="rook", start=file).wait(60)
    run.rollback(to=0).apply("again")
    snapshot = lab.store.state.run("rook").start["snapshot"]
    (lab.path / "history" / "snapshots" / snapshot).unlink()
    lab.store.history.close()
    with pytest.raises(DamagedError, match=f"commit {snapshot}, from which rook started") as bad:
        run.resume()
    assert f"a new run from {file}" in bad.value.hint
