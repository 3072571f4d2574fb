"""Checkpoints: found by number and name, measured, compared, loaded, handed on."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import flnb
from flnb.core.errors import DamagedError, NotFoundError, PlanError, RoundStateError, TaskError
from flnb.store import Request


@pytest.fixture
def run(coord, plan, task):
    return coord.run(plan.replace(rounds=6, commit_every=2), task, name="otter").wait(60)


@pytest.fixture(scope="module")
def whole(tmp_path_factory, task):
    """A run that is only looked at."""
    local = flnb.Local(epochs=1, batch_size=32, lr=0.1)
    plan = flnb.Plan(strategy=flnb.FedAvg(local=local), rounds=6, invite=4, seed=1, commit_every=2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FLNB_PROGRESS", "off")
        with flnb.Coordinator(tmp_path_factory.mktemp("whole") / "lab") as coordinator:
            coordinator.simulate(task, workers=0)
            yield coordinator.run(plan, task, name="otter").wait(60)


def test_numbers_and_names_find_committed_rounds(run, coord):
    assert [run.checkpoint(which).round for which in (2, "@head", "head")] == [2, 6, 6]
    request = Request(id="a", actor="ada", reason="")
    coord.lab.store.state.give_name("serving", run.checkpoint(4).key, request)
    assert run.checkpoint("@serving").sha256 == run.checkpoint(4).sha256


def test_a_damaged_version_leaves_no_file_behind(whole, tmp_path):
    checkpoint, folder = whole.checkpoint(4), tmp_path / "out"
    folder.mkdir()
    checkpoint.closing = replace(checkpoint.closing, sums="0" * 32)
    with pytest.raises(DamagedError):
        checkpoint.export(folder / "m.safetensors")
    assert list(folder.iterdir()) == []


def test_the_best_is_the_one_with_the_highest_accuracy(whole):
    scores = {n: whole.checkpoint(n).metrics["accuracy"] for n in (2, 4, 6)}
    assert whole.checkpoint("@best").metrics["accuracy"] == max(scores.values())


def test_a_round_without_a_commit_names_its_neighbours(whole):
    with pytest.raises(NotFoundError, match="commit of closed round '3'") as missing:
        whole.checkpoint(3)
    assert "2 and 4; a plan with commit_every=1" in missing.value.hint
    with pytest.raises(
        NotFoundError, match="no closed round '9'\n→ otter has closed rounds 1 to 6"
    ):
        whole.checkpoint(9)
    with pytest.raises(NotFoundError, match=r"1 to 6; what is before .* seed and has no commit"):
        whole.checkpoint(0)


def test_checkpoints_of_other_branches_go_by_the_name_of_the_branch(run):
    branch = run.branch("lr3", at=4)
    assert [run.checkpoint(f"{name}@head").round for name in ("lr3", "otter/lr3")] == [4, 4]
    assert branch.checkpoint("main@6").sha256 == run.checkpoint(6).sha256
    assert branch.checkpoint("otter@best").key == run.checkpoint("@best").key
    with pytest.raises(NotFoundError, match="no name of a round '@bset'\n→ did you mean '@best'"):
        run.checkpoint("@bset")
    with pytest.raises(NotFoundError, match="no name of a round '²'"):
        run.checkpoint("main@²")  # a digit, and no number
    with pytest.raises(NotFoundError, match="no branch of otter 'lr4'\n→ did you mean 'lr3'"):
        run.checkpoint("lr4@head")
    with pytest.raises(NotFoundError, match="commit of closed round '3'"):
        run.checkpoint("lr3@3")


def test_an_unknown_name_offers_the_nearest(whole):
    with pytest.raises(NotFoundError, match="best"):
        whole.checkpoint("@bets")


def test_it_measures_what_was_measured(whole, task):
    checkpoint = whole.checkpoint(4)
    assert checkpoint.evaluate(task) == pytest.approx(checkpoint.metrics)


def test_it_loads_into_a_module_of_the_same_shape_and_no_other(whole, task):
    module = whole.checkpoint(4).load_into(task.build())
    np.testing.assert_array_equal(
        module[1].weight.detach().numpy(), whole.checkpoint(4).model().tensor("1.weight")
    )
    with pytest.raises(TaskError, match=r"1\.weight"):
        whole.checkpoint(4).load_into(
            torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3, 2))
        )


def test_an_exported_file_holds_the_tensors_and_where_they_come_from(whole, tmp_path):
    path = whole.checkpoint(4).export(tmp_path / "m.safetensors")
    tensors = load_file(path)
    model = whole.checkpoint(4).model()
    assert tensors.keys() == {"1.weight", "1.bias"}
    np.testing.assert_array_equal(tensors["1.weight"].numpy(), model.tensor("1.weight"))
    assert whole.checkpoint(4).sha256.encode() in path.read_bytes()[:1000]


def test_a_difference_has_a_row_a_tensor(whole):
    same = whole.checkpoint(4).diff(whole.checkpoint(4)).df()
    assert (same["relative_l2"] == 0).all()
    assert (same["equal"] == 1).all()
    changed = whole.checkpoint(2).diff(whole.checkpoint(6)).df().set_index("tensor")
    a, b = (whole.checkpoint(n).model().tensor("1.weight") for n in (2, 6))
    expected = np.linalg.norm(b - a) / np.linalg.norm(a)
    assert changed.loc["1.weight", "relative_l2"] == pytest.approx(expected, rel=1e-5)
    assert changed.loc["1.weight", "largest"] == pytest.approx(np.abs(b - a).max())


def test_models_of_other_tasks_are_not_compared(run, coord, plan):
    wide = flnb.tasks.digits(model="mlp", split=flnb.IID(clients=6, seed=0))
    coord.simulate(wide, workers=0)
    other = coord.run(plan.replace(rounds=1), wide).wait(60)
    with pytest.raises(TaskError, match="different models"):
        run.checkpoint(2).diff(other.checkpoint())
    with pytest.raises(TaskError, match="not of this task"):
        run.checkpoint(2).evaluate(wide)


def test_reprs_tell_round_and_commit(whole):
    checkpoint = whole.checkpoint(4)
    assert repr(checkpoint).startswith("Checkpoint('otter', round 4, ")
    assert "accuracy" in checkpoint._repr_mimebundle_()["text/html"]
    assert math.isfinite(checkpoint.metrics["loss"])


def test_a_name_moves_under_a_condition_and_back(run):
    first = run.alias("serving", 2, reason="first")
    with pytest.raises(
        NotFoundError,
        match="no earlier meaning of alias 'serving'\n→ it was given once, to round 2",
    ):
        run.revert_alias("serving")
    with pytest.raises(
        RoundStateError, match=r"^accuracy > 0\.999 does not hold in round [246]: accuracy = 0\.\d"
    ):
        run.alias("serving", "@best", if_="accuracy > 0.999")
    assert run.checkpoint("@serving").sha256 == first.sha256
    run.alias("@serving", 6, if_="accuracy >= 0 and loss < last(loss, 1) <= max(loss, 6)")
    assert run.revert_alias("serving").round == 2
    assert run.aliases.df()["round"].tolist() == [2, 6, 2]


def test_a_condition_is_about_what_was_measured_in_that_round(coord, plan, task):
    seldom = flnb.Evaluation(central_every=3)
    run = coord.run(plan.replace(rounds=5, commit_every=1, evaluation=seldom), task).wait(60)
    with pytest.raises(PlanError, match="round 4 has no central metric 'accuracy'"):
        run.alias("serving", 4, if_="accuracy > 0")  # although that of round 3 is known
    run.alias("serving", 5, if_="accuracy > last(accuracy, 1) and training.loss < 9")
    with pytest.raises(RoundStateError, match="accuracy was measured 1 times, 2 are needed"):
        run.alias("serving", 3, if_="accuracy > last(accuracy, 1)")


def test_a_condition_is_met_by_no_measurement_of_another_scope_in_an_earlier_round(
    coord, plan, task
):
    asked = flnb.Evaluation(federated=True, central_every=3)
    run = coord.run(plan.replace(rounds=4, commit_every=2, evaluation=asked), task).wait(60)
    run.alias("gate", 4, if_="federated.accuracy > 0 and last(federated.loss, 2) > 0")
    unmeasured = flnb.Evaluation(federated=False)
    branch = run.branch("unmeasured", rounds=6, evaluation=unmeasured).resume().wait(60)
    for condition in ("federated.accuracy > 0", "accuracy > 0 and federated.loss < 9"):
        with pytest.raises(PlanError, match=r"round 6 has no metric 'federated\."):
            branch.alias("gate", 6, if_=condition)
    assert branch.checkpoint("@gate").round == 4


@pytest.mark.parametrize("name", ["head", "best", "", "a b", "7", "@"])
def test_what_cannot_be_a_name_is_refused(whole, name):
    with pytest.raises(PlanError, match="alias begins"):
        whole.alias(name, 2)


def test_what_is_no_condition_is_refused(whole):
    for condition in ("accuracy", "accuracy == 1", "accuracy > many", "acuracy > 0.1"):
        with pytest.raises(PlanError):
            whole.alias("serving", 2, if_=condition)
    with pytest.raises(NotFoundError, match="serving"):
        whole.revert_alias("serving")


def test_runs_side_by_side_have_a_tidy_frame_and_their_plans_differ(run, plan):
    branch = run.branch("short", at=2, rounds=4).resume().wait(60)
    both = flnb.compare(run, branch)
    frame = both.df().query("metric == 'accuracy'")
    assert frame.groupby("run")["round"].max().to_dict() == {"otter": 6, "otter/short": 4}
    assert frame.query("run == 'otter'")["bytes_up"].is_monotonic_increasing
    assert [row["setting"] for row in both.plans] == ["rounds"]
    assert "otter/short" in repr(both)
    with pytest.raises(PlanError, match="two or more"):
        flnb.compare(run, run)


def test_a_comparison_is_drawn_and_knows_its_axes(run):
    pyplot = pytest.importorskip("matplotlib.pyplot")
    pyplot.switch_backend("agg")
    both = flnb.compare(run, run.branch("same", at=2))
    axes = both.plot("accuracy", x="bytes_up")
    assert [line.get_label() for line in axes.get_lines()] == ["otter", "otter/same"]
    assert len(axes.get_lines()[0].get_xdata()) == 6
    pyplot.close("all")
    with pytest.raises(NotFoundError, match="acuracy"):
        both.plot("acuracy")
    with pytest.raises(NotFoundError, match="epsilon"):
        both.plot("accuracy", x="epsilon")
