"""The table of a study: nothing of a cell is hidden by what its run was measured by, and runs are its own."""

from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

import flnb
from flnb.coordinator import measures
from flnb.experiments import rows
from flnb.experiments.desk import run_of
from flnb.store import Outcome, StudyCell
from tests.ui.coordinating import plan_of, task_of


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    lab = flnb.open(tmp_path_factory.mktemp("rows") / "lab")
    with flnb.Coordinator(lab) as coordinator:
        coordinator.simulate(task_of(), workers=0)
        coordinator.run(plan_of(3), task_of(), name="told").wait()
        yield lab


def cell(**facts):
    settled = {"study": "s", "key": "ab", "position": 0, "seed": 1, "parameters": {}}
    return StudyCell(**settled | {"outcome": Outcome.FINISHED} | facts)


def test_a_parameter_that_is_called_as_a_metric_keeps_its_column(lab):
    (row,) = rows.frame(lab, [cell(run="told", parameters={"accuracy": "strict"})]).to_dict(
        "records"
    )
    assert row["accuracy_"] == "strict"
    assert row["accuracy"] == rows.measures(lab, ["told"])["told"]["accuracy"]


def test_a_round_that_went_wrong_is_not_the_best_one(lab, monkeypatch):
    values = {1: 0.5, 2: "nan", 3: 0.7}
    table = " UNION ALL ".join(
        f"SELECT 'told' AS run, 'main' AS branch, 1 AS generation, {round_} AS round, 'central' AS scope, 'accuracy' AS metric, '{value}'::DOUBLE AS value"
        for round_, value in values.items()
    )
    query = measures._METRICS.replace("FROM metrics", f"FROM ({table})")
    monkeypatch.setattr(measures, "_METRICS", query)
    found = rows.measures(lab, ["told"])["told"]
    assert (found["accuracy"], found["best_accuracy"]) == (0.7, 0.7)


def test_the_run_of_a_cell_is_the_first_one_of_its_own_study(lab):
    (known,) = lab.store.state.runs()
    runs = [
        replace(
            known,
            name=name,
            study=study,
            study_key="ab",
            created_at=datetime(2026, 1, at, tzinfo=UTC),
        )
        for name, study, at in [("t-ab", "t", 3), ("s-ab.2", "s", 2), ("s-ab", "s", 1)]
    ]
    others = SimpleNamespace(store=SimpleNamespace(state=SimpleNamespace(runs=lambda: runs)))
    assert run_of(others, cell()).name == "s-ab"
    assert run_of(others, cell(study="u")) is None
