import json
from dataclasses import asdict

import pytest

from flnb.core.errors import TaskError
from flnb.datasets import Dirichlet, Split
from flnb.tasks import Task, TaskRef, digits, importable, load, resolve


def test_a_built_in_task_is_made_again_from_its_written_name():
    task = digits("mlp", split=Dirichlet(alpha=1.0, clients=5, seed=2))
    written = json.dumps(asdict(task.ref))
    again = load(TaskRef(**json.loads(written)))
    assert task.ref.use == "flnb.tasks:digits"
    assert again.fingerprint() == task.fingerprint()
    assert again.ref == task.ref


def test_a_task_is_made_from_the_words_of_a_run_file():
    task = resolve("flnb.tasks:digits", model="mlp", split={"kind": "iid", "clients": 4})
    assert len(task.clients) == 4


@pytest.mark.parametrize(
    ("use", "says"),
    [
        ("flnb.tasks", "package.module:function"),
        ("no_such_module:make", "cannot be imported"),
        ("flnb.tasks:digit", "digits"),
        ("flnb.datasets:load_digits_data", "gives FederatedData"),
        ("builtins:dict", "does not take"),
    ],
)
def test_a_name_that_leads_to_no_task_is_refused_with_the_reason(use, says):
    with pytest.raises(TaskError, match=says):
        resolve(use)


def test_arguments_that_the_factory_does_not_take_are_refused():
    with pytest.raises(TaskError, match="modell"):
        resolve("flnb.tasks:digits", modell="mlp")


def test_a_factory_that_cannot_be_imported_gives_tasks_without_a_name(task):
    @importable
    def local() -> Task:
        return task

    assert local().ref is None
    assert task.ref is None


def test_arguments_that_cannot_be_written_give_tasks_without_a_name(task):
    split = Split.of({"all": range(1442)})
    assert digits(split=split).ref is None
