import re
from pathlib import Path

import pytest

from flnb.cli import runfile
from flnb.core import Evaluation, Local, Plan
from flnb.core.errors import NotFoundError, PlanError

TEXT = """
task: {use: "flnb.tasks:digits", with: {clients: 20}}
simulate: {workers: 2, drop: 0.05}
plan: {strategy: fedavg, rounds: 30, invite: 10}
name: first-try
"""


@pytest.fixture
def read(tmp_path):
    def reader(*overrides, text=TEXT):
        path = tmp_path / "plan.yaml"
        path.write_text(text, encoding="utf-8")
        return runfile.read(path, list(overrides))

    return reader


def test_a_run_file_says_task_clients_and_plan(read):
    file = read()
    assert (file.task.use, file.task.with_) == ("flnb.tasks:digits", {"clients": 20})
    assert (file.simulate.workers, file.simulate.drop) == (2, 0.05)
    assert (file.plan.rounds, file.plan.invite, file.name) == (30, 10, "first-try")


def test_only_the_task_must_be_said(read):
    file = read(text="task: {use: 'mine:make'}\nplan:\n")
    assert file.plan == type(file.plan)()
    assert file.name is None


def test_overrides_are_typed_as_yaml(read):
    file = read("plan.rounds=200", "simulate.slow=lognormal", "name=7-up", "task.with.clients=5")
    assert file.plan.rounds == 200
    assert (file.simulate.slow, file.name) == ("lognormal", "7-up")
    assert file.task.with_ == {"clients": 5}


def test_an_override_reaches_into_what_was_not_written(read):
    file = read("plan.evaluation.federated=true", "plan.strategy.local.lr=0.5")
    assert file.plan.evaluation.federated is True
    assert file.plan.strategy.local.lr == 0.5
    assert file.plan.strategy.kind == "fedavg"


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("plan.ruonds=3", "'rounds'"),
        ("simlate.drop=0", "'simulate'"),
        ("task.wiht=3", "'with'"),
        ("simulate.wrokers=3", "'workers'"),
        ("plan.strategy.local.bath_size=3", "'batch_size'"),
    ],
)
def test_an_unknown_key_names_its_nearest_neighbour(read, override, expected):
    with pytest.raises(PlanError, match=f"did you mean {expected}"):
        read(override)


@pytest.mark.parametrize(
    "override",
    [
        *["plan.rounds", "=3", "plan..rounds=3", "plan.rounds.x=1", "plan.rounds=[1", "plan=3"],
        *["plan.rounds=-1", "simulate.drop=2", "simulate.workers=-1", "simulate=[1]"],
        "task.use=digits",
    ],
)
def test_a_bad_override_is_bad_input(read, override):
    with pytest.raises(PlanError) as raised:
        read(override)
    assert raised.value.exit_code == 2


@pytest.mark.parametrize("text", ["", "[1, 2]", "a: [", "task: {use: 'a:b'}\n\x00", "plan: {}"])
def test_a_file_that_is_no_run_file_is_bad_input(read, text):
    with pytest.raises(PlanError) as raised:
        read(text=text)
    assert "\n" not in raised.value.message


@pytest.mark.parametrize("head", ["", "task: {use: 'a:b'}\n"])
def test_a_plan_that_stands_alone_is_told_where_it_belongs(read, head):
    with pytest.raises(PlanError, match="outside: rounds, invite") as raised:
        read(text=f"{head}rounds: 3\ninvite: 4\n")
    assert "under plan:" in raised.value.hint


@pytest.mark.parametrize("page", ["README.md", "docs/run-file.md"])
def test_the_example_of_a_page_is_a_run_file(read, page):
    text = (Path(__file__).parents[2] / page).read_text(encoding="utf-8")
    (example,) = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    file = read(text=example)
    assert (file.name, file.plan.rounds, file.simulate.workers) == ("first-try", 30, 2)


def test_every_key_stands_on_the_page_of_the_run_file():
    page = (Path(__file__).parents[2] / "docs" / "run-file.md").read_text(encoding="utf-8")
    models = (runfile.RunFile, runfile.Simulation, Plan, Evaluation, Local)
    keys = [key for model in models for key in model.model_fields]
    absent = [key for key in keys if not re.search(rf"`(evaluation\.)?{key}\b", page)]
    assert absent == []


def test_a_missing_file_is_bad_input(tmp_path):
    with pytest.raises(PlanError, match=r"absent\.yaml: No such file"):
        runfile.read(tmp_path / "absent.yaml", [])


def test_an_unknown_strategy_names_its_nearest_neighbour(read):
    with pytest.raises(NotFoundError, match="'fedavg'"):
        read("plan.strategy=fedavgg")
