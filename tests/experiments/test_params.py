"""`flnb.params()` outside of studies: under plain papermill, and by hand."""

import re
from types import SimpleNamespace

import nbclient
import nbformat
import papermill
import pytest
from jupyter_client.manager import run_kernel

from flnb.core.errors import RecipeError
from flnb.experiments import params
from tests.experiments.recipes import ALPHA, write_recipe

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
    """What a kernel knows of the cells that a person executed, or a program in this folder."""

    def __init__(self, *cells, folder=None):
        cells_so_far = ["", *cells, "P = flnb.params()"]
        self.history_manager = SimpleNamespace(input_hist_raw=cells_so_far, dir_hist=[folder])
        asked = {"content": {"allow_stdin": folder is None}}
        self.kernel = SimpleNamespace(get_parent=lambda: asked)
        self.user_ns = {}
        for cell in cells:
            exec(re.sub("(?m)^%.*", "", cell), self.user_ns)


def by_hand(monkeypatch, *cells, folder=None):
    for name in ("FLNB_STUDY_RECIPE", "FLNB_STUDY_LAB", "JPY_SESSION_NAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("IPython.get_ipython", lambda: Shell(*cells, folder=folder))
    return params()


def as_a_job(folder, recipe, **given):
    """What a recipe prints last as jupyter-scheduler executes it: in the folder of its copy."""
    notebook = nbformat.read(recipe, as_version=4)
    source = "\n".join(f"{name} = {value}" for name, value in given.items())
    notebook.cells.insert(1, nbformat.v4.new_code_cell(source))
    place = {"metadata": {"path": str(folder)}}
    nbclient.NotebookClient(notebook, kernel_name="python3", resources=place).execute()
    return notebook.cells[-1].outputs[0].text


def test_by_hand_it_is_the_last_cell_that_only_declares(monkeypatch):
    cells = "import os", "alpha: float = 0.3\nseed: int = 0", "import json; x = json.dumps(1)"
    values = by_hand(monkeypatch, *cells)
    assert (values.alpha, values.seed) == (0.3, 0)


def test_by_hand_a_cell_that_was_run_again_counts(monkeypatch):
    cells = "alpha: float = 0.3", "y = print", "alpha: float = 0.5"
    assert by_hand(monkeypatch, *cells).alpha == 0.5


def test_what_jupyter_scheduler_writes_below_gives_values_and_declares_nothing(
    monkeypatch, tmp_path
):
    def given(*cells):
        return by_hand(monkeypatch, *cells, folder=tmp_path)

    declared = "alpha: float = 0.3\nseed: int = 0"
    values = given(declared, 'alpha = 1\nlab = "/data/lab"', "import os")
    assert dict(values) == {"alpha": 1.0, "seed": 0, "lab": "/data/lab"}
    assert given(declared, 'lab = "s3://bucket/lab"').lab == "s3://bucket/lab"
    with pytest.raises(RecipeError, match="alpha = 'much'"):
        given(declared, "alpha = 'much'")


def test_a_name_that_jupyter_scheduler_is_given_and_nobody_reads_is_refused(tmp_path):
    cells = "import flnb", "who = !echo me", "P = flnb.params()", "print(P.alpha, P.seed, P.lab)"
    recipe = write_recipe(tmp_path / "r.ipynb", *cells)
    assert as_a_job(tmp_path, recipe, alpha=2, lab="'/data/lab'") == "2.0 0 /data/lab\n"
    with pytest.raises(nbclient.exceptions.CellExecutionError, match="did you mean 'alpha'"):
        as_a_job(tmp_path, recipe, alpha=2, alhpa=9)


def test_a_notebook_beside_it_that_lacks_a_cell_does_not_make_that_cell_a_value(
    monkeypatch, tmp_path
):
    write_recipe(tmp_path / "a copy.ipynb", "P = flnb.params()")
    write_recipe(tmp_path / "this.ipynb", "clients = 5", "P = flnb.params()")
    values = by_hand(monkeypatch, ALPHA, "clients = 5", folder=tmp_path)
    assert dict(values) == {"alpha": 0.3, "seed": 0}


def test_by_hand_a_parameters_cell_that_was_edited_and_run_again_counts(monkeypatch):
    cells = "alpha: float = 0.3", "alpha: int = 2\nrounds: int = 3"
    assert dict(by_hand(monkeypatch, *cells)) == {"alpha": 2, "rounds": 3}
    assert dict(by_hand(monkeypatch, "alpha = 0.3", "alpha = 0.5\nrounds = 3")) == {
        "alpha": 0.5,
        "rounds": 3,
    }
    for before, after in (
        ("alpha = 1", "alpha = 0.5"),
        ("alpha = 'auto'", "alpha = 0.5"),
        ("alpha: int = 1; seed = 0", "alpha = 0.5"),
        ("alpha = 0.3; rounds = 3", "alpha = 0.5"),
    ):
        assert dict(by_hand(monkeypatch, before, after)) == {"alpha": 0.5}


def test_a_heading_of_parameters_above_something_else_gives_no_values(monkeypatch):
    cells = "alpha: float = 0.3", "# Parameters\n%precision 3\nx = [alpha]"
    assert dict(by_hand(monkeypatch, *cells)) == {"alpha": 0.3}


def test_a_file_beside_it_that_is_no_whole_notebook_is_in_nobodys_way(monkeypatch, tmp_path):
    (tmp_path / "a.ipynb").write_text('{"nbformat": 4}')
    (tmp_path / "b.ipynb").write_text('{"nbformat": 4, "cells": [{"source": null}]}')
    write_recipe(tmp_path / "this.ipynb", "P = flnb.params()")
    assert by_hand(monkeypatch, ALPHA, folder=tmp_path).alpha == 0.3


def test_a_kernel_knows_a_person_who_edits_a_cell_from_a_program(tmp_path):
    write_recipe(tmp_path / "r.ipynb", parameters="alpha = 1; seed = 0")
    asked = "import flnb; P = flnb.params(); assert dict(P) == {'alpha': 0.5}, P"
    with run_kernel(kernel_name="python3", cwd=str(tmp_path)) as kernel:
        for cell in ("alpha = 1; seed = 0", "alpha = 0.5", asked):
            answer = kernel.execute_interactive(cell, timeout=60, output_hook=lambda _: None)
            assert answer["content"]["status"] == "ok", answer["content"]


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
