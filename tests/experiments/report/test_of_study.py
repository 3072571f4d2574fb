"""The report of a study: its numbers are those of `df()`, whatever became of its cells."""

import re
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from benchmarks.study_frames import ALPHAS, STRATEGIES, study
from flnb.experiments import Optuna, Study, StudyFile
from flnb.experiments.report.of_study import facts_of, markup
from flnb.experiments.report.page import save
from flnb.experiments.report.settings import headline_of
from flnb.store import Outcome, StudyCell, StudyRecord
from tests.experiments.report.reading import Report


@pytest.fixture
def read(tmp_path):
    return lambda facts: Report(save(markup(facts), tmp_path / "study.html"))


@pytest.fixture
def known(lab):
    """A study with a finished cell, one that failed, and one that is no longer asked for."""
    state, at = lab.store.state, datetime(2026, 1, 1, tzinfo=UTC)
    state.put_study(StudyRecord(name="known", notebook="a/recipe.ipynb", asked_for={"flnb": "0.1.0"}, code=("ab" * 8,), created_at=at, updated_at=at))  # fmt: skip
    page = lab.path / "studies" / "known" / "k0" / "notebook.html"
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text("executed")
    cells = [
        StudyCell(study="known", key=f"k{at}", position=at, parameters={"lr": 0.1 * (at + 1), "name": "<b>"}, seed=0)
        for at in range(3)
    ]  # fmt: skip
    state.ask_for_cells("known", cells)
    state.ask_for_cells("known", cells[:2])
    done = {"run": "told", "seconds_s": 3.5, "notebook": "studies/known/k0/notebook.ipynb", "page": "studies/known/k0/notebook.html"}  # fmt: skip
    outcomes = (done | {"outcome": Outcome.FINISHED}, {"outcome": Outcome.FAILED, "why": "boom & <i>"})  # fmt: skip
    for cell, became in zip(cells[:2], outcomes, strict=True):
        state.put_cell(replace(cell, **became))
    return Study(lab, "known", StudyFile(notebook="/somewhere/a/recipe.ipynb", grid={"lr": [0.1, 0.2]}))  # fmt: skip


def test_the_cells_of_a_report_are_the_rows_of_df(known, tmp_path):
    told = Report(known.report(tmp_path / "known.html"))
    rows, frame = told.table("Every cell"), known.df().query("asked")
    assert len(rows) == len(frame) == 2
    for head, column in (("Accuracy", "accuracy"), ("Best accuracy", "best_accuracy"), ("Sent", "bytes_up"), ("Rounds", "rounds"), ("Time", "seconds_s")):  # fmt: skip
        assert rows[0][head] == frame[column].iloc[0], head
    assert [row["lr"] for row in rows] == ["0.1", "0.2"]


def test_a_report_says_what_failed_and_leads_to_the_notebook(known, tmp_path):
    told = Report(known.report(tmp_path / "deep" / "known.html"))
    said = " ".join(told.text)
    assert "k1, failed: boom & <i>" in said
    assert "Not every cell is finished: 1 failed." in said
    (link,) = [one for one in told.addresses if not one.startswith("#")]
    assert (tmp_path / "deep" / link).resolve() == known.lab.path.resolve() / "studies/known/k0/notebook.html"  # fmt: skip
    assert "/somewhere" not in told.markup


def test_curves_are_the_metrics_of_the_runs(known, tmp_path):
    curves, run = facts_of(known, tmp_path).curves, known.lab.run("told")
    mine = curves[curves["metric"] == "accuracy"]
    metrics = run.metrics.df().query("scope == 'central' and metric == 'accuracy'")
    assert list(mine["value"]) == list(metrics["value"])
    assert list(mine["bytes_up"]) == list(run.rounds.df()["bytes_up"].cumsum())


def test_means_and_spreads_are_those_of_the_finished_cells(read):
    facts = study(seeds=3)
    rows = read(facts).table("Every setting")
    means = facts.cells.groupby(["alpha", "strategy"])["accuracy"].mean()
    assert [row["Accuracy"] for row in rows] == pytest.approx(sorted(means, reverse=True))
    for row in rows:
        assert row["Accuracy"] == pytest.approx(means[float(row["alpha"]), row["strategy"]])
    for spread in facts.cells.groupby(["alpha", "strategy"])["accuracy"].std():
        assert f'±&nbsp;<data value="{str(spread)[:10]}' in markup(facts)


def test_metrics_that_find_no_place_beside_the_others_have_tables_of_their_own(read):
    facts = study(seeds=2)
    names = [f"auc_{part}" for part in "abcdefg"]
    measured = {name: facts.cells["accuracy"] / at for at, name in enumerate(names, start=2)}
    cells = facts.cells.assign(**measured, **{f"best_{name}": 1.0 for name in names})
    told = read(replace(facts, cells=cells))
    first = told.table("Every setting")
    others = [told.table(one) for one in told.tables if one.endswith("in the same order.")]
    shown = {head: rows for rows in (first, *others) for head in rows[0]}
    assert shown.keys() >= {f"AUC {part}" for part in "abcdefg"}
    means = cells.groupby(["alpha", "strategy"])["auc_g"].mean()
    expected = [means[float(row["alpha"]), row["strategy"]] for row in first]
    assert [row["AUC g"] for row in shown["AUC g"]] == pytest.approx(expected)


def test_levels_are_compared_in_pairs_that_agree_in_all_else(read):
    facts = study(seeds=3)
    (row,) = read(facts).table("Accuracy by alpha")
    wide = facts.cells.pivot_table(index=["strategy", "seed"], columns="alpha", values="accuracy")
    assert (row["Level"], row["Against"], row["Pairs"]) == ("0.3", "0.1", "6")
    assert row["Mean difference"] == pytest.approx((wide[0.3] - wide[0.1]).mean())
    (few,) = read(study(seeds=1)).table("Accuracy by strategy")
    assert few["Pairs"] == "2"
    assert re.fullmatch(r"[+−]0\.\d{4}, [+−]0\.\d{4}", few["Test, or the differences"])


def test_what_is_not_finished_counts_for_no_number(read):
    facts = study(seeds=2, outcomes={0: "running", 1: "failed", 2: "waiting", 3: "waiting"})
    told = read(facts)
    assert len(told.table("Every setting")) == 2
    assert {row["alpha"] for row in told.table("Every setting")} == {"0.3"}
    assert 'class="running"' in told.markup
    assert 'class="waiting"' in told.markup


def test_a_study_without_a_finished_cell_has_a_report(read):
    facts = study(outcomes=dict.fromkeys(range(12), "waiting"))
    told = read(facts)
    assert "No cell is finished yet." in " ".join(told.text)
    assert len(told.table("Every cell")) == 12


def test_a_search_is_drawn_by_parameter_and_not_as_a_grid(read):
    facts = study(seeds=1)
    cells = facts.cells.assign(alpha=[0.11, 0.23, 0.37, 0.52], strategy=list("abcd"))
    told = read(replace(facts, cells=cells))
    assert 'class="heat"' not in told.markup
    assert "Accuracy of each cell by alpha." in " ".join(told.text)


def test_names_of_studies_are_text_and_nothing_is_asked_of_anybody(read):
    told = read(study(name="<script>alert(1)</script>", strategies=("<img src=x>", "b")))
    assert {"script", "img"} & set(told.tags) == set()
    assert "<script>alert(1)</script>" in told.text
    assert not re.search(r"url\(|@import|https?://", told.markup)


def test_a_hundred_cells_are_one_small_file(read):
    told = read(study(ALPHAS, STRATEGIES, seeds=5, rounds=200))
    assert len(told.markup.encode()) < 5e6 / 5
    assert len(told.table("Every cell")) == 100
    assert len(told.table("Every setting")) == 20


@pytest.mark.parametrize(
    ("metrics", "said", "drawn"),
    [
        (["a_first", "accuracy", "loss"], ["f1"], "accuracy"),
        (["auc", "loss", "zeal"], ["zeal"], "zeal"),
        (["balance", "auc"], [], "auc"),
        (["mse", "loss"], [], "loss"),
        (["loss", "own"], ["train_loss"], "own"),
        (["federated_accuracy", "training_loss"], [], "federated_accuracy"),
    ],
)
def test_what_is_drawn_is_what_somebody_says_is_the_main_one(metrics, said, drawn):
    assert headline_of(metrics, said) == drawn


def test_a_study_draws_what_its_search_looks_at_and_else_what_its_runs_show(known):
    assert facts_of(known).main == ["accuracy"]
    search = Optuna(axes={"lr": [0.1, 0.2]}, n=2, metric="best_loss", direction="minimize")
    asked = StudyFile(notebook="/somewhere/a/recipe.ipynb", optuna=search)
    assert facts_of(Study(known.lab, "known", asked)).headline == "loss"


def test_names_are_written_as_their_field_writes_them(read):
    facts = study(seeds=1)
    cells = facts.cells.rename(columns={"accuracy": "auc", "best_accuracy": "best_auc"})
    curves = facts.curves.replace({"metric": {"accuracy": "auc"}})
    told = read(replace(facts, cells=cells, curves=curves))
    assert {"AUC", "Best AUC"} <= told.table("Every setting")[0].keys()
    assert not re.search(r"\b[Aa]uc\b", " ".join(told.text))
