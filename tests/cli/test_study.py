"""`flnb study …` and `flnb new`, called in this process; kernels are in tests/experiments."""

import json
from dataclasses import replace

import pytest

import flnb as front_door
from flnb.experiments import Study
from flnb.store import Outcome
from tests.experiments.recipes import write_recipe


@pytest.fixture
def study_file(tmp_path):
    write_recipe(tmp_path / "r.ipynb", "print(alpha)")
    path = tmp_path / "alpha.yaml"
    path.write_text("notebook: r.ipynb\ngrid: {alpha: [0.1, 0.3]}\nseeds: 2\n")
    return path


@pytest.fixture
def lab(tmp_path):
    lab = front_door.open(tmp_path / "lab")
    yield lab
    lab.store.close()


def pretend(monkeypatch, lab, outcome):
    """Let a study be executed without kernels: its first cell ends so, the others finish."""

    def run(study, *_, **__):
        planner = study.check()
        study._introduce(planner.recipe)
        cells = planner.cells([], {})
        ends = [outcome, *[Outcome.FINISHED] * len(cells[1:])]
        lab.store.state.ask_for_cells(
            study.name,
            [replace(cell, outcome=end, why="x") for cell, end in zip(cells, ends, strict=True)],
        )
        return study

    monkeypatch.setattr(Study, "run", run)


@pytest.mark.parametrize(("outcome", "code"), [(Outcome.FINISHED, 0), (Outcome.FAILED, 1)])
def test_the_exit_code_says_whether_every_cell_is_finished(
    flnb, study_file, lab, monkeypatch, outcome, code
):
    pretend(monkeypatch, lab, outcome)
    done = flnb("study", "run", str(study_file), "--lab", str(lab.path), "--json")
    assert done.code == code
    told = json.loads(done.out)
    assert told["cells"] == len(told["rows"]) == 4
    assert told["rows"][0]["outcome"] == str(outcome)


def test_status_shows_all_studies_and_each_cell_of_one(flnb, study_file, lab, monkeypatch):
    pretend(monkeypatch, lab, Outcome.FAILED)
    flnb("study", "run", str(study_file), "--lab", str(lab.path))
    shown = flnb("study", "status", "--lab", str(lab.path)).out
    assert "3 finished · 1 failed" in shown
    shown = flnb("study", "status", "alpha", "--lab", str(lab.path)).out
    assert "alpha=0.1 seed=0" in shown
    assert flnb("study", "status", "alfa", "--lab", str(lab.path)).code == 2


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("notebook: r.ipynb\ngrid: {alpa: [1]}", "did you mean 'alpha'?"),
        ("notebook: r.ipynb\ngrids: {}", "did you mean 'grid'?"),
        ("notebook: s.ipynb", "did you mean 'r.ipynb'?"),
        ("notebook: [", "is not YAML"),
        ("- 1", "not a mapping"),
    ],
)
def test_a_study_that_cannot_be_is_refused_before_anything_runs(flnb, study_file, text, said):
    study_file.write_text(text)
    lab = study_file.parent / "lab"
    done = flnb("study", "run", str(study_file), "--lab", str(lab))
    assert done.code == 2
    assert said in done.err


def test_keep_and_beside_contradict_each_other(flnb, study_file):
    assert flnb("study", "run", str(study_file), "--keep", "--beside").code == 2


def test_a_schedule_is_shown_before_it_is_written(flnb, study_file, lab):
    asked = ("study", "schedule", str(study_file), "--at", "0 2 * * *", "--cron", "--dry-run")
    done = flnb(*asked, "--lab", str(lab.path))
    assert done.code == 0
    assert "0 2 * * * " in done.err
    assert f"study run {study_file} --lab {lab.path}" in done.err


def test_a_new_lab_has_a_recipe_and_a_study_that_fit(flnb, tmp_path):
    folder = tmp_path / "mine"
    said = flnb("new", str(folder))
    assert said.code == 0
    typed = [line.split(" #")[0].strip() for line in said.err.splitlines()[1:]]
    readme = (folder / "README.md").read_text()
    assert [one for one in typed if one.startswith("cd")] == [f"cd {folder}"]
    assert [one for one in typed if "/" not in one and one not in readme] == []
    assert len(typed) >= 5
    names = {path.name for path in folder.iterdir()}
    assert names == {
        ".gitignore",
        "README.md",
        "first.ipynb",
        "plan.yaml",
        "study.yaml",
        "test_lab.py",
    }
    done = flnb("study", "status", str(folder / "study.yaml"), "--lab", str(tmp_path / "no"))
    assert done.code == 2, "there is no lab yet"
    front_door.open(tmp_path / "lab").store.close()
    shown = flnb("study", "status", str(folder / "study.yaml"), "--lab", str(tmp_path / "lab"))
    assert "4 waiting" in shown.err
    assert flnb("check", str(folder / "plan.yaml")).code == 0


def test_a_folder_with_something_in_it_is_left_alone(flnb, tmp_path):
    (tmp_path / "mine").write_text("notes")
    assert flnb("new", str(tmp_path)).code == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine"]
