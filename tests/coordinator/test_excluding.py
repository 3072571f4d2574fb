"""Clients that a plan excludes."""

import pytest

from flnb.core.errors import PlanError


def asked(run):
    last = run.view.round
    return {name for n in range(1, last + 1) for name in run.round(n).clients.df()["client"]}


@pytest.mark.parametrize("sampling", ["fixed", "all"])
def test_who_is_excluded_is_never_invited(coord, plan, task, sampling):
    invite = 4 if sampling == "fixed" else None
    rules = plan.replace(sampling=sampling, invite=invite, exclude=["c000", "c003"])
    run = coord.run(rules, task).wait(60)
    assert asked(run) == {"c001", "c002", "c004", "c005"}
    assert run.round(1).closing.invited == 4


def test_a_plan_that_leaves_too_few_is_refused_with_both_numbers(coord, plan, task):
    with pytest.raises(PlanError, match="invite=4, but the task has 3 clients"):
        coord.run(plan.replace(exclude=["c000", "c001", "c002"]), task)


def test_a_client_can_be_left_out_on_the_way(coord, plan, task):
    run = coord.run(plan.replace(rounds=500), task).pause().wait(60)
    before = run.view.round
    run.resume(exclude=["c005"], rounds=before + 3).wait(60)
    late = {name for n in (1, 2, 3) for name in run.round(before + n).clients.df()["client"]}
    assert "c005" not in late
    assert len(late) == 5
