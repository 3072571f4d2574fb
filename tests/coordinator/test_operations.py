"""The operations log as people read it, in the lab and through a connection."""

import pytest

from flnb.core.errors import QueryRefusedError


def test_the_log_says_who_did_what_to_which_branch_when_and_why(coord, plan, task):
    run = coord.run(plan.replace(commit_every=1), task, name="first").wait(60)
    run.branch("bold", at=2)
    run.rollback(to=3).apply("a wrong turn")
    log = coord.lab.operations.df()
    assert log["verb"].tolist() == ["start", "branch", "rollback"]
    assert log["branch"].tolist() == ["main", "bold", "main"]
    assert log["reason"].tolist()[-1] == "a wrong turn"
    assert log["actor"].nunique() == 1
    assert log["at"].is_monotonic_increasing
    assert run.operations.df()["verb"].tolist() == ["start", "rollback"]
    assert coord.lab.run("first/bold").operations.df()["verb"].tolist() == ["branch"]
    assert repr(coord.operations) == repr(coord.lab.operations)


def test_operators_read_the_log_through_a_connection_and_viewers_do_not(coord, person, plan, task):
    there = person("operator")
    run = there.run(plan, task, name="first").wait(60)
    assert there.operations.arrow().equals(coord.lab.operations.arrow())
    assert run.operations.df()["actor"].tolist() == ["dr-lee"]
    with pytest.raises(QueryRefusedError, match="no table"):
        _ = person("viewer", name="eve").operations


def test_events_show_the_newest_of_them(coord, plan, task):
    run = coord.run(plan.replace(rounds=6), task, name="first").wait(60)
    assert repr(run.events).splitlines()[-2].split()[3] == "6"
    assert "the last 8 shown" in repr(run.events)
