"""Axes as people give them, and what is drawn from them."""

import numpy as np
import pytest

from flnb.core.errors import PlanError
from flnb.experiments import Optuna, Random, StudyFile
from flnb.experiments.grid import Between, Done
from flnb.experiments.report.measured import lower_is_better

pytest.importorskip("optuna")


def test_numbers_of_numpy_are_numbers_in_every_way_of_asking():
    axes = {"epochs": np.arange(1, 3), "alpha": [np.float64(0.5), np.float32(0.25)]}
    asked = [
        StudyFile.of("r.ipynb", axes, seeds=np.arange(2)),
        StudyFile.of("r.ipynb", [{"epochs": np.int64(1)}], seeds=np.int64(2)),
        StudyFile.of("r.ipynb", Random(axes=axes, n=2)),
    ]
    told = [one.model_dump(mode="json") for one in asked]
    assert told[0]["grid"] == {"epochs": [1, 2], "alpha": [0.5, 0.25]}
    assert told[1]["cells"] == [{"epochs": 1}]
    assert told[2]["random"]["axes"] == told[0]["grid"]
    assert [one.all_seeds for one in asked[:2]] == [(0, 1), (0, 1)]


@pytest.mark.parametrize(
    ("axis", "said"),
    [
        ({"low": 2, "high": 1}, "must be below high"),
        ({"low": 0, "high": 1, "log": True}, "must be above 0 with log"),
        ({"low": 0.2, "high": 0.8, "whole": True}, r"no whole number from 0\.2 to 0\.8"),
    ],
)
def test_an_axis_that_has_no_values_is_refused_with_its_ends(axis, said):
    with pytest.raises(PlanError, match=said):
        Between(**axis)


@pytest.mark.parametrize("log", [False, True])
def test_whole_numbers_are_drawn_with_both_ends_and_never_outside(log):
    axis = Between(low=1.5, high=8.9, whole=True, log=log)
    drawn = [axis.at(share) for share in np.linspace(0, 1, 2001)[:-1]]
    assert (set(drawn), axis.at(0.0), axis.at(1 - 2**-53)) == (set(range(2, 9)), 2, 8)
    counts = [drawn.count(number) for number in range(2, 9)]
    assert counts == sorted(counts, reverse=True) if log else max(counts) - min(counts) <= 1


def test_a_share_near_its_end_stays_inside():
    wide = Between(low=1, high=1e15, whole=True)
    narrow = Between(low=1e-5, high=0.1, log=True)
    assert wide.at(1 - 2**-53) <= 10**15
    assert 1e-5 <= narrow.at(0.0) < narrow.at(1 - 2**-53) <= 0.1


def tried(search):
    """All that a search asks for when each is better the later it was asked for."""
    done = []
    while more := search.cells(done):
        done += [Done(choice, float(len(done)), over=True) for choice in more]
    return [one.choice for one in done]


def test_a_search_asks_for_no_combination_twice_and_ends_when_there_are_no_more():
    axes = {"alpha": [0.1, 0.3], "epochs": {"low": 1, "high": 2, "whole": True}}
    found = tried(Optuna(axes=axes, n=30, metric="accuracy", ahead=3))
    assert sorted((one["alpha"], one["epochs"]) for one in found) == [
        (alpha, epochs) for alpha in (0.1, 0.3) for epochs in (1, 2)
    ]


def test_optuna_chooses_among_lists_also_as_they_come_back_from_the_lab():
    axes = {"hidden": [(32,), (32, 16)], "alpha": Between(low=0.01, high=1, log=True)}
    found = tried(Optuna(axes=axes, n=6, metric="accuracy"))
    assert len(found) == 6
    assert all(one["hidden"] in ([32], [32, 16]) for one in found)


def test_a_search_goes_on_with_axes_that_were_others_before():
    before = [Done({"alpha": 0.5, "kind": "a"}, 1.0, over=True)]
    search = Optuna(axes={"alpha": Between(low=0.6, high=1), "kind": ["b"]}, n=2, metric="auc")
    (more,) = search.cells(before)
    assert (more["kind"], more["alpha"] >= 0.6) == ("b", True)


@pytest.mark.parametrize(("metric", "wanted"), [("best_loss", 0.1), ("accuracy", 0.9)])
def test_a_search_goes_where_the_name_of_its_metric_says(metric, wanted):
    axes = {"alpha": Between(low=0.0, high=1.0)}
    search = Optuna(axes=axes, n=40, metric=metric, ahead=1)
    done = [Done({"alpha": alpha / 20}, alpha / 20, over=True) for alpha in range(21)]
    (more,) = search.cells(done)
    assert abs(more["alpha"] - wanted) < 0.2


def test_a_direction_that_is_given_counts_whatever_the_name():
    def falls(metric, direction):
        return Optuna(axes={"alpha": [1]}, n=2, metric=metric, direction=direction).falls

    assert [falls("error_free", "maximize"), falls("training_loss", "maximize")] == [False, False]
    assert falls("regret", "minimize")
    assert [falls("test_loss", ""), falls("RMSE", ""), falls("loss_scale", "")] == [
        True,
        True,
        False,
    ]


@pytest.mark.parametrize(
    "metric", ["cross_entropy", "best_cross_entropy", "wer", "test_WER", "bytes_up"]
)
def test_less_is_better_of_entropies_word_errors_and_bytes_sent(metric):
    assert lower_is_better(metric)
    assert Optuna(axes={"alpha": [1]}, n=2, metric=metric).falls


@pytest.mark.parametrize("metric", ["entropy", "answer", "startup", "f1_up"])
def test_a_part_of_such_a_name_says_nothing(metric):
    assert not lower_is_better(metric)
    assert not Optuna(axes={"alpha": [1]}, n=2, metric=metric).falls


def test_a_search_that_may_go_the_wrong_way_says_so():
    search = Optuna(axes={"alpha": [1]}, n=2, metric="training_loss", direction="maximize")
    assert "maximizes 'training_loss'; by a word of its name less may be better" in search.course
    plain_one = Optuna(axes={"alpha": [1]}, n=2, metric="loss")
    assert plain_one.course == "the search minimizes 'loss'"
