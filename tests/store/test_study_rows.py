"""Studies as tables: what became of each cell, as it is now, beside what its run was measured by."""

import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from math import nan
from pathlib import Path
from threading import Thread

import pytest

from flnb.core import Status
from flnb.experiments.labels import lines
from flnb.store import LabStore, Outcome, StudyCell, StudyRecord, aggregates, varying
from flnb.testing.stores import sample_closing, sample_run

PAGE = Path(__file__).parents[2] / "docs" / "studies.md"
NOW = datetime(2026, 3, 1, tzinfo=UTC)
STUDY = StudyRecord(
    name="alpha",
    notebook="/srv/ada/recipe.ipynb",
    asked_for={"grid": {"alpha": [0.1, 0.3]}},
    code=("aa",),
    created_at=NOW,
    updated_at=NOW,
)
RUN = replace(sample_run("alpha-k1"), study="alpha", study_key="k1")


@pytest.fixture
def store(tmp_path):
    """A lab with a study of two cells, of which the first has begun its run."""
    store = LabStore.open(tmp_path / "lab")
    with store.lease():
        store.state.put_study(STUDY)
        values = enumerate([0.1, 0.3])
        cells = [
            StudyCell(study="alpha", key=f"k{place + 1}", position=place, parameters={"alpha": one})
            for place, one in values
        ]
        store.state.ask_for_cells("alpha", cells)
        store.state.create_run(RUN)
        yield store
        store.close()


def settle(store, key, outcome=Outcome.FINISHED, **facts):
    cell = store.state.claim_cell("alpha", key, lambda _: True).cell
    store.state.put_cell(replace(cell, outcome=outcome, ended_at=NOW, **facts))


def test_a_cell_is_told_as_its_study_has_it(store):
    settle(store, "k1", run="alpha-k1", seconds_s=2.5)
    first, second = store.metrics.query("FROM study_cells ORDER BY position")
    assert (first["study"], first["study_key"], first["label"]) == ("alpha", "k1", "alpha=0.1")
    assert json.loads(first["parameters"]) == {"alpha": 0.1}
    assert (first["outcome"], first["run"], first["branch"]) == ("finished", "alpha-k1", "main")
    assert (first["seconds_s"], first["attempts"], first["ended_at"]) == (2.5, 1, NOW)
    assert (second["outcome"], second["run"], second["seed"]) == ("waiting", None, None)
    (study,) = store.metrics.query("FROM studies")
    assert json.loads(study["asked_for"]) == {"grid": {"alpha": [0.1, 0.3]}}


def test_the_query_that_is_documented_answers_with_what_cells_were_measured_by(store):
    settle(store, "k1", run="alpha-k1", seconds_s=2.5)
    store.close_round(sample_closing(1))
    store.catch_up()
    (query,) = re.findall(r"```sql\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    (row,) = store.metrics.query(query)
    metrics = {one["metric"]: one["value"] for one in store.metrics.query("FROM metrics")}
    assert tuple(row.values()) == ("alpha=0.1", metrics["accuracy"], 1, 2.5)


def test_a_cell_that_runs_is_told_with_its_run_as_soon_as_it_began_one(store, tmp_path):
    query = "SELECT run, branch FROM study_cells WHERE study_key = 'k2'"
    store.state.claim_cell("alpha", "k2", lambda _: True)
    assert [row["run"] for row in store.metrics.query(query)] == [None]
    run = replace(sample_run("alpha-k2", number=2), study="alpha", study_key="k2")
    guest = LabStore.open(tmp_path / "lab")
    with guest.be_guest(run.name):
        guest.state.create_run(run)
    guest.close()
    (row,) = store.metrics.query(query)
    assert tuple(row.values()) == ("alpha-k2", "main")


def test_what_becomes_of_a_cell_is_in_the_next_answer(store):
    def asked():
        query = "SELECT outcome, why FROM study_cells WHERE study_key = 'k2'"
        return next(tuple(row.values()) for row in store.metrics.query(query))

    assert asked() == ("waiting", "")
    settle(store, "k2", Outcome.FAILED, why="ZeroDivisionError")
    assert asked() == ("failed", "ZeroDivisionError")
    settle(store, "k2", Outcome.FAILED, why="KeyError")
    assert asked() == ("failed", "KeyError")
    store.state.put_study(replace(STUDY, notebook="other.ipynb", updated_at=NOW.replace(day=2)))
    assert "other" in repr(store.metrics.query("SELECT notebook FROM studies"))


def test_a_cell_is_called_in_sql_as_for_a_person_also_after_its_axes_changed(store):
    first, second = store.state.study_cells("alpha")
    other = replace(first, key="k3", parameters={"alpha": 0.1, "lr": 2})
    store.state.ask_for_cells(
        "alpha", [replace(other, key="k4", parameters={"alpha": 0.3, "lr": 3}), other]
    )
    store.state.ask_for_cells("alpha", [first, second])
    rows = store.metrics.query(
        "SELECT label FROM study_cells ORDER BY NOT asked, position, study_key"
    )
    said = [line[0] for line in lines(store.state.study_cells("alpha"))]
    assert [row["label"] for row in rows] == said
    assert said == ["alpha=0.1", "alpha=0.3", "alpha=0.1", "alpha=0.3"]


def test_which_cells_are_asked_for_is_in_the_next_answer(store):
    query = "SELECT study_key, position, asked FROM study_cells ORDER BY study_key"
    first, second = store.state.study_cells("alpha")
    store.state.put_study(replace(STUDY, updated_at=NOW.replace(day=2)))
    store.metrics.query(query)  # a page looks before the cells are asked for
    store.state.ask_for_cells("alpha", [replace(second, position=0), replace(first, position=1)])
    told = [(row["study_key"], row["position"]) for row in store.metrics.query(query)]
    assert told == [("k1", 1), ("k2", 0)]
    store.state.ask_for_cells("alpha", [second])
    assert [row["asked"] for row in store.metrics.query(query)] == [False, True]


def test_no_cell_is_read_while_none_has_changed(store, monkeypatch):
    store.metrics.query("FROM study_cells")
    read, study_cells = [], store.state.study_cells
    monkeypatch.setattr(
        store.state, "study_cells", lambda name: read.append(name) or study_cells(name)
    )
    store.state.set_status(RUN.id, Status.PAUSED)
    store.metrics.query("FROM study_cells")
    assert read == []
    settle(store, "k1")
    store.metrics.query("FROM study_cells")
    assert read == ["alpha"]


def test_a_cell_that_changes_costs_its_own_study_alone(store, monkeypatch):
    store.state.put_study(replace(STUDY, name="beta"))
    other = replace(store.state.study_cells("alpha")[0], study="beta")
    store.state.ask_for_cells("beta", [other])
    store.metrics.query("FROM study_cells")
    read, study_cells = [], store.state.study_cells
    monkeypatch.setattr(
        store.state, "study_cells", lambda name: read.append(name) or study_cells(name)
    )
    settle(store, "k2")
    found = store.metrics.query("SELECT study, outcome FROM study_cells ORDER BY study, position")
    assert read == ["alpha"]
    told = [tuple(row.values()) for row in found]
    assert told == [("alpha", "waiting"), ("alpha", "finished"), ("beta", "waiting")]
    assert len(store.metrics.query("FROM studies")) == 2


def test_a_round_is_closed_while_a_query_reads_cells(store, monkeypatch):
    read = []

    def reads(study):
        closer = Thread(target=store.close_round, args=[sample_closing(1)], daemon=True)
        closer.start()
        closer.join(timeout=30)
        read.append(closer.is_alive())
        return []

    monkeypatch.setattr(store.state, "study_cells", reads)
    assert len(store.metrics.query("FROM rounds")) == 1
    assert read == [False]


def test_tables_that_are_opened_anew_while_a_query_reads_cells_have_all_of_them(store, monkeypatch):
    store.metrics.query("FROM study_cells")
    read, study_cells = [], store.state.study_cells

    def reads(study):
        if not read:
            store.metrics.close()
        read.append(study)
        return study_cells(study)

    monkeypatch.setattr(store.state, "study_cells", reads)
    settle(store, "k2")
    assert len(store.metrics.query("FROM study_cells")) == 2
    assert read == ["alpha", "alpha"]


def test_what_tells_cells_apart_is_what_json_writes_otherwise():
    def told(*values):
        cells = [StudyCell(study="a", key="k", position=0, parameters={"x": one}) for one in values]
        return varying(cells)

    assert told(1, 1.0) == told(1, True) == told([1], [2]) == told("1", 1) == ["x"]
    assert told(nan, float("nan")) == told([1], [1]) == told(None, None) == told(0.5, 0.5) == []


def test_a_viewer_is_told_neither_words_nor_places(store):
    settle(store, "k2", Outcome.FAILED, why="secret of c001", notebook="studies/k2.ipynb")
    (row,) = aggregates(store.metrics, "FROM study_cells WHERE outcome = 'failed'")
    assert "an operator" in row["why"]
    (study,) = aggregates(store.metrics, "FROM studies")
    assert study["notebook"] == "recipe.ipynb"
    told = repr([row, study])
    assert [word for word in ("c001", "ada", "k2.ipynb") if word in told] == []


def test_a_viewer_sees_of_a_path_its_last_part_in_parameters_and_labels(store):
    given = {"data": "/srv/ada/patients.csv", "sites": ["/srv/ada/b", "c"], "alpha": 0.3}
    other = given | {"data": "C:\\ada\\more.csv"}
    cells = [
        StudyCell(study="alpha", key=f"p{place}", position=place, parameters=one)
        for place, one in enumerate([given, other])
    ]
    store.state.ask_for_cells("alpha", cells)
    query = "SELECT label, parameters FROM study_cells WHERE asked ORDER BY position"
    first, second = aggregates(store.metrics, query)
    assert (first["label"], second["label"]) == ("data=patients.csv", "data=more.csv")
    told = {"data": "patients.csv", "sites": ["b", "c"], "alpha": 0.3}
    assert json.loads(first["parameters"]) == told
    assert "ada" in next(iter(store.metrics.query(query)))["label"]


def test_a_guest_has_no_rows_of_studies(store, tmp_path):
    guest = LabStore.open(tmp_path / "lab")
    with guest.be_guest("alpha-k1"):
        assert list(guest.metrics.query("FROM studies")) == []
        assert list(guest.metrics.query("FROM study_cells")) == []
    with guest.reader() as tables:
        assert len(tables.query("FROM study_cells")) == 2
    guest.close()
