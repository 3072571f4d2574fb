"""The recipes that ship: read, checked, executed with a round or two; their numbers are those of the lab."""

from pathlib import Path

import nbformat
import pytest

import flnb
from flnb.experiments.opening import study_from

FOLDER = Path(__file__).parents[2] / "experiments"
pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.timeout(240)]


@pytest.fixture(autouse=True)
def _smoke(monkeypatch):
    monkeypatch.setenv("FLNB_PROGRESS", "off")
    monkeypatch.setenv("FLNB_SMOKE", "1")


@pytest.fixture
def lab(tmp_path):
    lab = flnb.open(tmp_path / "lab")
    yield lab
    lab.store.close()


def test_recipes_are_committed_without_outputs_and_studies_can_be_executed(lab):
    for path in FOLDER.glob("*.ipynb"):
        notebook = nbformat.read(path, as_version=4)
        assert [cell.outputs for cell in notebook.cells if cell.get("outputs")] == []
    studies = [study_from(lab, path) for path in FOLDER.glob("*.yaml")]
    assert studies
    assert all(study.cells for study in studies)


def test_the_numbers_of_a_study_are_those_of_sql_over_the_lab(lab):
    study = lab.study("fedavg", FOLDER / "fedavg.ipynb", {"alpha": [1.0]}, seeds=1).run()
    (row,) = study.df().to_dict("records")
    assert (row["outcome"], row["rounds"]) == ("finished", 2)
    asked = f"SELECT value FROM metrics WHERE run='{row['run']}' AND metric='accuracy' AND round=2"
    assert [found["value"] for found in lab.sql(asked)] == [row["accuracy"]]
    (cell,) = study.cells
    assert "parameter" not in (lab.path / cell.log).read_text().lower(), "they were checked"
    known = lab.sql("SELECT study, study_key FROM runs")
    assert list(known) == [{"study": "fedavg", "study_key": row["key"]}]


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "cell", "rounds", "measured"),
    [
        ("heart", {"training": "va", "model": "net"}, 2, ["auc", "auc_cleveland", "accuracy_va"]),
        pytest.param(
            *("mnist_skew", {"alpha": 0.1, "strategy": "fedyogi"}, 2, ["accuracy"]),
            marks=pytest.mark.long,
        ),
        pytest.param(
            *("shakespeare_roles", {"epochs": 5, "batch_size": 0}, 1, ["accuracy"]),
            marks=pytest.mark.long,
        ),
    ],
)
def test_a_study_on_real_data_runs_and_measures_what_it_is_about(lab, name, cell, rounds, measured):
    study = lab.study(name, FOLDER / f"{name}.ipynb", [cell], seeds=1).run()
    (row,) = study.df().to_dict("records")
    assert (row["outcome"], row["why"], row["rounds"]) == ("finished", "", rounds)
    assert all(0 < row[metric] <= 1 for metric in measured)
    assert name in study.report(lab.path / "report.html").read_text()


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_twelve_cells_on_two_workers_are_all_there_and_none_twice(lab):
    grid = {"alpha": [0.1, 1.0, 100.0], "strategy": ["fedavg", "fedadam"]}
    study = lab.study("grid", FOLDER / "fedavg.ipynb", grid, seeds=2).run(workers=2)
    table = study.df()
    assert list(table["outcome"]) == ["finished"] * 12
    assert table["run"].nunique() == 12
    assert len(lab.runs()) == 12
    assert (table["attempts"] == 1).all()
    assert study.run(workers=2).df().equals(table), "there was nothing left to do"
