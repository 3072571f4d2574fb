"""Recipes: one parameters cell, and a digest of each code cell."""

import json

import pytest

from flnb.core.errors import RecipeError
from flnb.experiments import Recipe, StudyFile
from flnb.experiments.key import DataFingerprints
from flnb.experiments.planning import Planner
from tests.experiments.recipes import write_recipe


def test_a_recipe_knows_its_cells_and_parameters(tmp_path):
    recipe = Recipe.read(write_recipe(tmp_path / "r.ipynb", "x = alpha", "print(x)"))
    assert recipe.sources[1:] == ("x = alpha", "print(x)")
    assert dict(recipe.parameters.defaults) == {"alpha": 0.3, "seed": 0}


def test_a_notebook_without_a_parameters_cell_is_told_how_to_get_one(tmp_path):
    path = write_recipe(tmp_path / "r.ipynb", "x = 1")
    notebook = json.loads(path.read_text())
    notebook["cells"][0]["metadata"]["tags"] = []
    path.write_text(json.dumps(notebook))
    with pytest.raises(RecipeError, match="no cells tagged 'parameters'"):
        Recipe.read(path)


def test_a_recipe_that_is_not_there_names_its_neighbour(tmp_path):
    write_recipe(tmp_path / "fedavg.ipynb")
    with pytest.raises(RecipeError, match=r"did you mean 'fedavg\.ipynb'"):
        Recipe.read(tmp_path / "fedavgg.ipynb")


def test_something_else_than_a_notebook_is_refused(tmp_path):
    (tmp_path / "r.ipynb").write_text("no notebook")
    with pytest.raises(RecipeError, match="not a notebook"):
        Recipe.read(tmp_path / "r.ipynb")
    for part in ("", ', "cells": null', ', "cells": [{"source": "x = 1"}]'):
        (tmp_path / "r.ipynb").write_text('{"nbformat": 4' + part + "}")
        with pytest.raises(RecipeError, match="not a whole notebook"):
            Recipe.read(tmp_path / "r.ipynb")


def test_a_kernel_that_is_not_installed_is_told_before_anything_starts(tmp_path):
    path = write_recipe(tmp_path / "r.ipynb")
    Recipe.read(path).check_kernel()
    notebook = json.loads(path.read_text())
    notebook["metadata"]["kernelspec"] = {"name": "pyhton3", "display_name": "Python"}
    path.write_text(json.dumps(notebook))
    planner = Planner(
        "s", Recipe.read(path), StudyFile(notebook=str(path)), DataFingerprints(tmp_path)
    )
    with pytest.raises(RecipeError, match=r"r\.ipynb wants the kernel 'pyhton3'") as refused:
        planner.check()
    assert "did you mean 'python3'?" in refused.value.hint


def test_changes_name_the_cells_that_differ(tmp_path):
    before = Recipe.read(write_recipe(tmp_path / "r.ipynb", "x = 1", "y = 2")).digests
    after = Recipe.read(write_recipe(tmp_path / "r.ipynb", "x = 1", "y = 3  "))
    assert after.changes(before) == ["cell 3"]
    assert after.changes(after.digests) == []
    shorter = Recipe.read(write_recipe(tmp_path / "r.ipynb", "x = 1"))
    assert shorter.changes(before) == ["1 more cells are gone"]


def test_outputs_and_white_space_at_the_end_change_nothing(tmp_path):
    before = Recipe.read(write_recipe(tmp_path / "r.ipynb", "x = 1")).digests
    assert Recipe.read(write_recipe(tmp_path / "r.ipynb", "x = 1   \n")).digests == before


@pytest.mark.parametrize("said", [None, {"kernelspec": None}, {"kernelspec": {"name": None}}, {}])
def test_a_notebook_that_names_no_kernel_is_executed_by_pythons_own(tmp_path, said):
    path = write_recipe(tmp_path / "r.ipynb", "x = 1")
    notebook = json.loads(path.read_text())
    notebook["metadata"] = said
    notebook["cells"][1]["metadata"] = None
    path.write_text(json.dumps(notebook))
    assert Recipe.read(path).kernel == "python3"
