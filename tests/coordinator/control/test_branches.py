"""A run through a connection shows the rounds that lead to its head, as it does where the lab is."""

import pytest


@pytest.fixture
def run(coord, plan, task):
    run = coord.run(plan.replace(rounds=4, commit_every=1), task, name="otter").wait(60)
    run.branch("lr", at=2).resume().wait(60)
    run.rollback(to=1).apply("poisoned")
    run.resume(rounds=3).wait(60)
    return run


def test_tables_hold_the_line_and_nothing_of_what_was_left_behind(run, person):
    for role in ("viewer", "operator"):
        there = person(role, name=f"as-{role}")
        for name in ("otter", "otter/lr"):
            here, far = run.source._lab.run(name), there.attach(name)
            assert far.rounds.df().equals(here.rounds.df())
            assert (
                far.metrics.df()["generation"].tolist() == here.metrics.df()["generation"].tolist()
            )
    assert run.rounds.df()["generation"].tolist() == [1, 2, 2]
