"""The shipped notebooks run from top to bottom, and what they show is what a reader should see.

The first has a kernel that starts an interpreter, as in JupyterLab; the others are forked ones.
"""

import ast
from pathlib import Path

import nbformat
import papermill
import pytest

from flnb.experiments.engine import Engine
from flnb.experiments.kernels import Forge

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
# papermill and its kernel bring warnings of their own that say nothing about the notebooks.
pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    return execute("01_first_federation", tmp_path_factory.mktemp("first"), None, rounds=12)


@pytest.fixture(scope="module")
def forked():
    """The engine whose kernels are forked."""
    Engine.forge = Forge()
    yield "flnb"
    Engine.forge.close()
    Engine.forge = None


@pytest.fixture(scope="module")
def second(tmp_path_factory, forked):
    return execute("02_your_own_task", tmp_path_factory.mktemp("second"), forked, rounds=10)


@pytest.fixture(scope="module")
def third(tmp_path_factory, forked):
    return execute("03_remote_clients", tmp_path_factory.mktemp("third"), forked, rounds=4)


@pytest.fixture(scope="module")
def fourth(tmp_path_factory, forked):
    return execute("04_branch_and_roll_back", tmp_path_factory.mktemp("fourth"), forked, rounds=8)


@pytest.fixture(scope="module")
def fifth(tmp_path_factory, forked):
    return execute("05_dashboards", tmp_path_factory.mktemp("fifth"), forked, rounds=6)


def execute(name, folder, engine, **parameters):
    output = folder / "out.ipynb"
    papermill.execute_notebook(
        NOTEBOOKS / f"{name}.ipynb",
        output,
        parameters={"lab_folder": str(folder / "lab"), **parameters},
        cwd=folder,
        progress_bar=False,
        engine_name=engine,
    )
    return nbformat.read(output, as_version=4)


def cell_with(notebook, text):
    return next(cell for cell in notebook.cells if cell.cell_type == "code" and text in cell.source)


def shown(cell):
    return "\n".join(
        str(output.get("text") or output.get("data", {}).get("text/html") or output.get("data"))
        for output in cell.outputs
    )


def test_the_saved_frame_is_the_last_one(first):
    frame = cell_with(first, "run.live()").outputs[0].data["text/plain"]
    assert "finished" in frame
    assert "round 12/12" in frame


def test_nothing_strays_into_a_cell_that_works_meanwhile(first):
    cell = cell_with(first, "sum(number")
    assert [output.output_type for output in cell.outputs] == ["execute_result"]
    assert cell.outputs[0].data["text/plain"] == "333332833333500000"


def test_the_first_notebook_learns_the_digits(first):
    assert "accuracy" in shown(cell_with(first, "run.resume()"))
    module = shown(cell_with(first, "task.module"))
    assert "Linear" in module


def test_no_cell_writes_to_stderr(first, second):
    for notebook in (first, second):
        noisy = [
            output.text
            for cell in notebook.cells
            if cell.cell_type == "code"
            for output in cell.outputs
            if output.output_type == "stream" and output.name == "stderr"
        ]
        assert noisy == []


def test_a_task_from_a_cell_trains_in_worker_processes(second):
    assert "finished" in shown(cell_with(second, "coord.run(plan, task).wait()"))
    assert "did you mean" in shown(cell_with(second, "ruonds"))


def test_notebooks_are_committed_without_outputs():
    for path in NOTEBOOKS.glob("*.ipynb"):
        notebook = nbformat.read(path, as_version=4)
        assert [cell.outputs for cell in notebook.cells if cell.get("outputs")] == []


def test_the_third_notebook_brings_a_killed_client_back(third):
    assert "finished" in cell_with(third, "run.live()").outputs[0].data["text/plain"]
    table = shown(cell_with(third, "FROM assignments"))
    assert table.count("hospital-a") == table.count("hospital-b") == 4
    assert "lost" not in table
    assert "left the study" in shown(cell_with(third, "coord.revoke"))


def test_the_fourth_notebook_forks_goes_back_and_undoes(fourth):
    assert "kept as before-rollback-1" in shown(cell_with(fourth, "preview = run.rollback"))
    assert "nothing was done" in shown(cell_with(fourth, "too late"))
    assert "Round 8" in shown(cell_with(fourth, 'rollback("before-rollback-1")'))
    graph = shown(cell_with(fourth, "run.history"))
    for words in ("main gen 1", "main gen 2", "bold gen 1", "@before-rollback-1"):
        assert words in graph
    assert "whole" in shown(cell_with(fourth, "log_damage"))
    assert "not exact unlearning" in shown(cell_with(fourth, "run.replay"))
    assert "replay-4-1" in shown(cell_with(fourth, "replayed.wait()"))
    assert "it went back from this round before" in shown(cell_with(fourth, "flnb.Guard"))


def test_the_fifth_notebook_is_watched_from_a_cell_and_from_programs(fifth):
    assert "<iframe" in shown(cell_with(fifth, "run.panel()"))
    assert "(6, " in shown(cell_with(fifth, "latest"))
    assert '"round","accuracy"' in shown(cell_with(fifth, "text/csv"))
    events = ast.literal_eval(cell_with(fifth, "ws/events").outputs[-1].data["text/plain"])
    assert [number for _, number in events] == [7, 8, 9]
    assert "to show the log" in shown(cell_with(fifth, "FROM operations"))


def test_a_saved_notebook_with_a_page_stays_small(fifth):
    assert len(nbformat.writes(fifth)) < 500_000
