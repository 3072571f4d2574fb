"""`flnb.params()` outside of studies: under plain papermill, and by hand."""

import nbformat
import papermill
import pytest

from flnb.core.errors import RecipeError
from flnb.experiments import params
from tests.experiments.recipes import write_recipe

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.timeout(120)]


def executed(folder, recipe, **parameters):
    papermill.execute_notebook(
        recipe,
        folder / "out.ipynb",
        parameters=parameters,
        kernel_name="python3",
        language="python",
        progress_bar=False,
    )
    return nbformat.read(folder / "out.ipynb", as_version=4)


def test_papermill_gives_its_values_and_a_name_that_nobody_reads_is_refused(tmp_path):
    cells = "import flnb", "P = flnb.params()", "print(P.alpha, P.seed, P.lab)"
    recipe = write_recipe(tmp_path / "r.ipynb", *cells)
    said = executed(tmp_path, recipe, alpha=1).cells[-1].outputs[0].text
    assert said == "1.0 0 ./lab\n"
    with pytest.raises(papermill.PapermillExecutionError, match="did you mean 'alpha'"):
        executed(tmp_path, recipe, alpa=1)


def test_whoever_gives_values_may_give_the_lab_as_well(tmp_path):
    cells = "import flnb", "P = flnb.params()", "print(P.alpha, P.lab)"
    recipe = write_recipe(tmp_path / "r.ipynb", *cells)
    said = executed(tmp_path, recipe, lab="/data/lab").cells[-1].outputs[0].text
    assert said == "0.3 /data/lab\n"


class Shell:
    """What a kernel knows of the cells that somebody executed by hand."""

    def __init__(self, *cells):
        self.user_ns = {"_ih": ["", *cells, "P = flnb.params()"]}
        for cell in cells:
            exec(cell, self.user_ns)


def by_hand(monkeypatch, *cells):
    for name in ("FLNB_STUDY_RECIPE", "FLNB_STUDY_LAB", "JPY_SESSION_NAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("IPython.get_ipython", lambda: Shell(*cells))
    return params()


def test_by_hand_it_is_the_last_cell_that_only_declares(monkeypatch):
    cells = "import os", "alpha: float = 0.3\nseed: int = 0", "import json; x = json.dumps(1)"
    values = by_hand(monkeypatch, *cells)
    assert (values.alpha, values.seed) == (0.3, 0)


def test_by_hand_a_cell_that_was_run_again_counts(monkeypatch):
    cells = "alpha: float = 0.3", "y = print", "alpha: float = 0.5"
    assert by_hand(monkeypatch, *cells).alpha == 0.5


def test_what_jupyter_scheduler_writes_below_gives_values_and_declares_nothing(monkeypatch):
    declared = "alpha: float = 0.3\nseed: int = 0"
    values = by_hand(monkeypatch, declared, 'alpha = 1\nlab = "/data/lab"', "import os")
    assert dict(values) == {"alpha": 1.0, "seed": 0, "lab": "/data/lab"}
    assert by_hand(monkeypatch, declared, 'lab = "s3://bucket/lab"').lab == "s3://bucket/lab"
    with pytest.raises(RecipeError, match="alpha = 'much'"):
        by_hand(monkeypatch, declared, "alpha = 'much'")


def test_by_hand_a_parameters_cell_that_was_edited_and_run_again_counts(monkeypatch):
    cells = "alpha: float = 0.3", "alpha: int = 2\nrounds: int = 3"
    assert dict(by_hand(monkeypatch, *cells)) == {"alpha": 2, "rounds": 3}
    assert dict(by_hand(monkeypatch, "alpha = 0.3", "alpha = 0.5\nrounds = 3")) == {
        "alpha": 0.5,
        "rounds": 3,
    }


def test_a_value_that_was_changed_since_is_checked(monkeypatch):
    with pytest.raises(RecipeError, match="alpha = 'much'"):
        by_hand(monkeypatch, "alpha: float = 0.3", "for alpha in ['much']: pass")


def test_without_such_a_cell_it_says_how_to_write_one(monkeypatch):
    with pytest.raises(RecipeError, match="tagged parameters"):
        by_hand(monkeypatch, "import os")


def test_the_saved_notebook_of_the_kernel_says_which_cell_it_is(monkeypatch, tmp_path):
    path = write_recipe(tmp_path / "r.ipynb", "extra = 1", parameters="alpha: float = 0.3")
    shell = Shell("alpha: float = 0.3", "alpha = 0.7; print()", "extra = 1")
    monkeypatch.setattr("IPython.get_ipython", lambda: shell)
    monkeypatch.delenv("FLNB_STUDY_RECIPE", raising=False)
    monkeypatch.setenv("JPY_SESSION_NAME", str(path))
    assert dict(params()) == {"alpha": 0.7}
