"""Cells in real kernels: what becomes of those that end, fail, die, hang, or are asked for again."""

import json
import re
from dataclasses import replace
from pathlib import Path

import nbformat
import pytest

import flnb
from flnb.core.errors import RoundStateError, StudyHeldError
from flnb.experiments.holding import Holding
from flnb.store import Outcome
from tests.experiments.recipes import write_recipe

# papermill and its kernels bring warnings of their own that say nothing about studies.
pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.timeout(240)]

FATES = """
import os, time
if alpha == 0.2:
    raise ZeroDivisionError("no such alpha")
if alpha == 0.3:
    os.kill(os.getpid(), 9)
if alpha == 0.4:
    time.sleep(600)
"""


@pytest.fixture(autouse=True)
def _quiet(monkeypatch):
    monkeypatch.setenv("FLNB_PROGRESS", "off")


@pytest.fixture(scope="module")
def fates(tmp_path_factory):
    """A study of four cells: one ends, one fails, one kills its kernel, one hangs."""
    folder = tmp_path_factory.mktemp("fates")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FLNB_PROGRESS", "off")
        lab = flnb.open(folder / "lab")
        recipe = write_recipe(
            folder / "r.ipynb", "import flnb\nP = flnb.params()", FATES, "P.alpha"
        )
        study = lab.study("fates", recipe, {"alpha": [0.1, 0.2, 0.3, 0.4]}, timeout_s=40, workers=2)
        yield study.run()
    lab.store.close()


def cell_of(study, alpha):
    return next(cell for cell in study.cells if cell.parameters["alpha"] == alpha)


def test_each_cell_has_its_outcome_and_its_reason(fates):
    found = {cell.parameters["alpha"]: (cell.outcome, cell.failed_cell) for cell in fates.cells}
    assert found == {
        0.1: (Outcome.FINISHED, None),
        0.2: (Outcome.FAILED, 3),
        0.3: (Outcome.FAILED, 3),
        0.4: (Outcome.OUT_OF_TIME, None),
    }
    assert cell_of(fates, 0.2).why == "ZeroDivisionError: no such alpha"
    assert "the kernel died" in cell_of(fates, 0.3).why
    assert cell_of(fates, 0.4).why == "not ended after 40 s"


def test_a_recipe_that_is_saved_meanwhile_is_executed_as_it_was_planned(tmp_path):
    lab, recipe = flnb.open(tmp_path / "lab"), tmp_path / "r.ipynb"
    edit = f"p = __import__('pathlib').Path({str(recipe)!r})\np.write_text(p.read_text().replace('WHAT', 'else'))"
    write_recipe(recipe, edit, "'WHAT' + ' was planned'")
    study = lab.study("saved", recipe, {"alpha": [0.1, 0.2]}, workers=1).run()
    assert "WHAT" not in recipe.read_text()
    for cell in study.cells:
        text = (lab.path / cell.notebook).read_text()
        assert (cell.outcome, "'WHAT was planned'" in text) == (Outcome.FINISHED, True)
    lab.store.close()


def test_every_cell_leaves_a_notebook_and_a_page_in_the_lab(fates):
    for cell in fates.cells:
        notebook = nbformat.read(fates.lab.path / cell.notebook, as_version=4)
        assert "Parameters" in notebook.cells[1].source or "Parameters" in notebook.cells[2].source
        page = (fates.lab.path / cell.page).read_text()
        assert "alpha" in page
        assert not re.search(r"<(script|link|img)[^>]+(src|href)=.?https?:", page)


def test_the_values_come_back_as_the_checked_model(fates):
    notebook = nbformat.read(fates.lab.path / cell_of(fates, 0.1).notebook, as_version=4)
    shown = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    assert "alpha=0.1, seed=0" in shown[0].data["text/plain"]
    assert shown[-1].data["text/plain"] == "0.1"


def test_the_table_says_the_same_as_the_cells(fates):
    table = fates.df()
    assert list(table["outcome"]) == [str(cell.outcome) for cell in fates.cells]
    assert list(table["alpha"]) == [0.1, 0.2, 0.3, 0.4]
    assert fates.status.words == "1 finished · 2 failed · 1 out of time"


def test_a_study_is_found_again_by_its_name(fates):
    again = fates.lab.study("fates")
    assert [cell.key for cell in again.cells] == [cell.key for cell in fates.cells]
    assert "fates" in repr(fates.lab.studies)
    assert fates.lab.studies[0].asked.grid == {"alpha": [0.1, 0.2, 0.3, 0.4]}


@pytest.fixture
def lab(tmp_path):
    lab = flnb.open(tmp_path / "lab")
    yield lab
    lab.store.close()


def counted(folder):
    """A recipe that notes each time it is executed, and fails while there is a file `broken`."""
    source = f"""
from pathlib import Path
with open({str(folder / "executed")!r}, "a") as file:
    print(alpha, file=file)
assert not Path({str(folder / "broken")!r}).exists(), "it is broken"
"""
    return write_recipe(folder / "r.ipynb", source)


def executions(folder):
    return (folder / "executed").read_text().split()


def test_what_is_finished_is_skipped_and_what_failed_waits_for_a_retry(lab, tmp_path):
    study = lab.study("alpha", counted(tmp_path), {"alpha": [0.1]})
    (tmp_path / "broken").touch()
    study.run()
    (tmp_path / "broken").unlink()
    study.run()
    assert [cell.outcome for cell in study.cells] == [Outcome.FAILED], "nobody asked for it again"
    study.retry()
    study.run()
    assert [cell.outcome for cell in study.cells] == [Outcome.FINISHED]
    assert executions(tmp_path) == ["0.1", "0.1"]


def test_a_finished_key_counts_for_every_study_that_asks_for_it(lab, tmp_path):
    recipe = counted(tmp_path)
    lab.study("first", recipe, {"alpha": [0.1]}).run()
    second = lab.study("second", recipe, {"alpha": [0.1]}).run()
    assert executions(tmp_path) == ["0.1"]
    assert list(second.df()["origin"]) == ["study first"]


def test_a_recipe_that_changed_half_way_asks_what_to_do_with_what_is_finished(lab, tmp_path):
    recipe = counted(tmp_path)
    lab.study("alpha", recipe, {"alpha": [0.1]}).run()
    notebook = json.loads(recipe.read_text())
    notebook["cells"][1]["source"] += "\nprint('more')"
    recipe.write_text(json.dumps(notebook))
    study = lab.study("alpha", recipe, {"alpha": [0.1]})
    with pytest.raises(RoundStateError, match=r"cell 2 of r\.ipynb changed since 1 of the cells"):
        study.run()
    assert executions(tmp_path) == ["0.1"], "nothing was executed"
    study.run(changed="keep")
    assert study.df()["origin"][0].startswith("key ")
    study.run(changed="beside")
    assert executions(tmp_path) == ["0.1", "0.1"]
    assert list(study.df()["origin"]) == ["", ""], "what was finished before stays as it is"


def test_keep_across_sizes_is_refused_by_the_size_and_nothing_is_executed(
    lab, tmp_path, monkeypatch
):
    study = lab.study("alpha", counted(tmp_path), {"alpha": [0.1]})
    monkeypatch.setenv("FLNB_SMOKE", "1")
    small = study.check().cells([], {})
    study._introduce(study.check().recipe)
    done = [replace(cell, outcome=Outcome.FINISHED) for cell in small]
    lab.store.state.ask_for_cells("alpha", done)
    monkeypatch.delenv("FLNB_SMOKE")
    with pytest.raises(RoundStateError, match="executed at smoke size, and this is full size"):
        study.run(changed="keep")
    assert [cell.smoke for cell in lab.store.state.study_cells("alpha")] == [True]
    assert not (tmp_path / "executed").exists()


def test_the_second_runner_is_told_who_executes_the_study(lab, tmp_path):
    study = lab.study("alpha", counted(tmp_path), {"alpha": [0.1]})
    study._introduce(study.check().recipe)
    with Holding(lab.store, "alpha"), pytest.raises(StudyHeldError, match="a runner"):
        study.run()
    assert not (tmp_path / "executed").exists()


def test_a_result_that_nobody_heard_is_taken_up(lab, tmp_path):
    study = lab.study("alpha", counted(tmp_path), {"alpha": [0.1]}).run()
    (cell,) = study.cells
    lab.store.state.put_cell(replace(cell, outcome=Outcome.RUNNING, ended_at=None))
    study.run()
    assert [one.outcome for one in study.cells] == [Outcome.FINISHED]
    assert executions(tmp_path) == ["0.1"]
    assert Path(lab.path / study.cells[0].notebook).is_file()
