"""What a plan check says before an hour is spent."""

import pytest

from flnb.core import Guard, Local, Plan, TaskSummary
from flnb.core.check import check_plan
from flnb.strategies import FedAvg


def summary(*sizes, **changes):
    examples = {f"c{number:03}": size for number, size in enumerate(sizes)}
    usual = {"n_parameters": 10, "n_buffer_values": 0, "model_bytes": 1000, "n_test_examples": 5}
    return TaskSummary(name="t", client_examples=examples, **{**usual, **changes})


def said(plan, task, level):
    return " / ".join(item.text for item in check_plan(plan, task).findings if item.level == level)


def test_bytes_are_counted_both_ways_for_those_who_are_invited():
    text = said(Plan(invite=4, rounds=10), summary(*[50] * 8), "ok")
    assert "8 kB a round with 4 of 8 clients" in text
    assert "80 kB in 10 rounds" in text
    assert "need=2 of 4: 2 may drop out" in text
    assert "a median client takes 2 steps a round" in text


@pytest.mark.parametrize(
    ("plan", "says"),
    [
        (Plan(invite=4), "invite=4, but the task has 3 clients"),
        (Plan(sampling="all", need=4), "need=4, but the task has 3 clients"),
        (Plan(sampling="all", exclude=("c000", "c001", "c002")), "the task has no clients"),
        (Plan(invite=2, guards=(Guard("lossy > 1"),)), "names 'lossy'"),
    ],
)
def test_what_cannot_work_is_an_error(plan, says):
    assert says in said(plan, summary(50, 50, 50), "error")
    assert not check_plan(plan, summary(50, 50, 50)).ok


@pytest.mark.parametrize(
    ("plan", "says"),
    [
        (Plan(invite=3, need=3), "need=3 of 3: one client that fails pauses it"),
        (Plan(invite=3, need=3, close="quorum"), "nobody is left over"),
        (Plan(sampling="poisson", invite=3), "poisson cohorts vary around 3; need=2 is near"),
        (Plan(sampling="all", need=4), "need=4, but only 3 clients of 5 have examples"),
        (
            Plan(invite=3, strategy=FedAvg(local=Local(batch_size=64))),
            "batch_size=64 is more than the median client has",
        ),
        (Plan(invite=3), "fewer than 5 examples: 1 client"),
    ],
)
def test_what_may_not_be_meant_is_a_warning(plan, says):
    task = summary(0, 50, 50, 4, 0)
    assert says in said(plan, task, "warning")
    assert check_plan(plan, task).ok


def test_a_guard_may_name_what_is_measured_of_training_in_every_round():
    guards = Guard("training.loss > 9"), Guard("training.loss_not_finite > 0")
    assert check_plan(Plan(invite=2, guards=guards), summary(50, 50, 50)).ok
