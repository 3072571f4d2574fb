import json
import sys
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


@pytest.fixture
def modules(tmp_path, monkeypatch):
    """Lays modules out where they can be imported, and says which of them were."""
    monkeypatch.syspath_prepend(tmp_path)

    def lay_out(**sources):
        for name, source in sources.items():
            path = tmp_path / "lab_of_ada" / f"{name}.py"
            path.parent.mkdir(exist_ok=True)
            path.write_text(source)

    yield lay_out
    for name in [name for name in sys.modules if name.partition(".")[0] == "lab_of_ada"]:
        del sys.modules[name]


MARKED = """
from flnb.tasks import digits, importable

@importable(module="lab_of_ada")
def make():
    return digits()
"""


@pytest.mark.parametrize(
    ("use", "package"),
    [
        ("lab_of_ada.inner:make", None),  # a folder without __init__
        ("lab_of_ada.inner:make", ""),
        ("lab_of_ada:make", "from .inner import *"),
        ("lab_of_ada:built", "from lab_of_ada.inner import make as built"),
    ],
)
def test_a_module_whose_source_marks_tasks_is_imported_for_others(modules, use, package):
    modules(inner=MARKED)
    if package is not None:
        modules(__init__=package)
    assert load(TaskRef(use), marked_only=True).ref.use == "lab_of_ada:make"


@pytest.mark.parametrize(
    "source",
    [
        "1 / 0",
        "from flnb.tasks import digits as make; 1 / 0",
        "# importable\nmake = print('importable'); 1 / 0",
        "importable = 'a variable'; 1 / 0",
        "def make(:",
    ],
)
def test_a_module_whose_source_marks_nothing_is_not_run_for_others(modules, source):
    modules(inner=source, __init__="1 / 0", __main__=source)
    for name in ("lab_of_ada.inner", "lab_of_ada.__main__", "lab_of_ada"):
        with pytest.raises(TaskError, match="not marked"):
            load(TaskRef(f"{name}:make"), marked_only=True)


@pytest.mark.parametrize("name", ["no_such_module", "lab_of_ada.no_such", "sys.path", ".", "a..b"])
def test_a_module_that_is_not_there_is_missed_before_anything_runs(modules, name):
    modules(__init__="1 / 0")
    with pytest.raises(TaskError, match="cannot be imported"):
        load(TaskRef(f"{name}:make"), marked_only=True)
