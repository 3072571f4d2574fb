"""Passes in a terminal, and what can be done with one from another place."""

import json

import pytest

import flnb as package
from flnb.transport import Pass


@pytest.fixture
def served(tmp_path, monkeypatch):
    """A coordinator that listens, with a finished run; its lab is the one that commands take."""
    monkeypatch.delenv("FLNB_PASS", raising=False)
    task = package.tasks.digits(model="softmax", split=package.IID(clients=4, seed=0))
    local = package.Local(epochs=1, batch_size=32, lr=0.1)
    plan = package.Plan(strategy=package.FedAvg(local=local), rounds=2, invite=2, seed=1)
    with package.Coordinator(tmp_path / "lab") as coordinator:
        coordinator.listen()
        coordinator.simulate(task, workers=0)
        coordinator.run(plan, task, name="first").wait(60)
        yield coordinator


def lab_of(coordinator):
    return ["--lab", str(coordinator.lab.path)]


def test_a_pass_is_given_listed_and_taken_back(flnb, served):
    given = flnb("token", "dr-lee", "--role", "operator", "--expires", "1h", *lab_of(served))
    assert (given.code, given.out.count("\n")) == (0, 1)
    assert given.out.strip() not in given.err
    assert (Pass.parse(given.out).name, Pass.parse(given.out).address) == ("dr-lee", served.address)
    (row,) = json.loads(flnb("token", "list", "--json", *lab_of(served)).out)
    assert (row["name"], row["role"], row["revoked_at"]) == ("dr-lee", "operator", None)
    told = flnb("token", "revoke", "dr-lee", *lab_of(served)).err
    assert "1 pass of dr-lee was good until now and is revoked" in told
    assert "no pass of dr-lee" in flnb("token", "revoke", "dr-lee", *lab_of(served)).err
    assert "revoked" in flnb("token", "list", *lab_of(served)).out
    refused = flnb("sql", "SELECT 1", "--at", given.out.strip())
    assert (refused.code, refused.out) == (3, "")


def test_the_role_may_stand_before_the_name_and_json_holds_the_pass(flnb, served):
    told = json.loads(flnb("token", "--role", "admin", "dr-kim", "--json", *lab_of(served)).out)
    assert (told["name"], told["role"]) == ("dr-kim", "admin")
    assert Pass.parse(told["pass"]).name == "dr-kim"


def test_commands_are_no_names_and_unknown_roles_are_bad_input(flnb, served):
    assert flnb("token", "give", "revoke", *lab_of(served)).code == 2
    assert flnb("token", "dr-lee", "--role", "king", *lab_of(served)).code == 2
    assert flnb("token", "revoke", "dr-lee", *lab_of(served)).code == 2


def test_runs_and_tables_are_looked_at_through_a_pass(flnb, served, tmp_path, monkeypatch):
    file = tmp_path / "pass.txt"
    file.write_text(served.token("dr-lee").text)
    assert "first" in flnb("runs", "list", "--at", str(file)).out
    assert json.loads(flnb("runs", "show", "first", "--json", "--at", str(file)).out)["round"] == 2
    assert json.loads(flnb("runs", "watch", "first", "--json", "--at", str(file)).out)["round"] == 2
    monkeypatch.setenv("FLNB_PASS", str(file))
    rows = json.loads(flnb("sql", "SELECT count(*) AS n FROM rounds", "--json").out)
    assert rows == [{"n": 2}]
    assert flnb("sql", "SELECT * FROM clients").code == 3


def test_what_a_pass_is_not_good_for_is_refused_with_who_can_help(flnb, served):
    line = served.token("dr-lee").text
    refused = flnb("runs", "stop", "first", "--at", line)
    assert refused.code == 3
    assert "needs the role operator" in refused.err
    served.stop()
    unreached = flnb("runs", "list", "--at", line)
    assert unreached.code == 4
    assert "cannot reach" in unreached.err
