"""The report of a run tells what the run's own tables say, as text, and asks nobody for anything."""

import re
from datetime import timedelta
from html import unescape

import pytest

import flnb
from flnb.coordinator.granting import place_of, written_token
from flnb.core.errors import StoreError
from tests.experiments.report.reading import Report
from tests.ui.coordinating import plan_of, task_of


@pytest.fixture(scope="module")
def told(lab, tmp_path_factory):
    return Report(lab.run("told").report(tmp_path_factory.mktemp("reports") / "a" / "told.html"))


def test_every_number_of_a_round_is_the_one_of_the_tables(run, told):
    rows = told.table("The rounds that lead to the head of the run")
    metrics, rounds = run.metrics.df(), run.rounds.df()
    central = metrics[metrics["scope"] == "central"].pivot(
        index="round", columns="metric", values="value"
    )
    assert [int(row["Round"]) for row in rows] == list(rounds["round"]) == [1, 2, 3, 4, 5]
    assert [row["Accuracy"] for row in rows] == list(central["accuracy"])
    assert [row["Loss"] for row in rows] == list(central["loss"])
    assert [row["Time"] for row in rows] == list(rounds["seconds_s"])
    assert [row["Sent"] for row in rows] == list(rounds["bytes_up"])


def test_where_a_metric_ended_and_what_was_best_are_said(run, told):
    rows = {(row["Metric"], row["Measured"]): row for row in told.table("Where each metric")}
    metrics = run.metrics.df()
    losses = metrics[(metrics["scope"] == "central") & (metrics["metric"] == "loss")]["value"]
    row = rows["loss", "central"]
    assert (row["First"], row["Last"]) == (losses.iloc[0], losses.iloc[-1])
    assert (row["Best"], int(row["In round"])) == (losses.min(), losses.argmin() + 1)


def test_each_client_is_counted_as_its_assignments_say(run, told):
    assignments = run.source.table("assignments", "round").df()
    rows = {row["Client"]: row for row in told.table("What each client did")}
    assert set(rows) == set(assignments["client"])
    for client, mine in assignments.groupby("client"):
        used = (mine["outcome"] == "accepted").sum()
        assert (int(rows[client]["Invited"]), int(rows[client]["Used"])) == (len(mine), used)


def test_a_report_runs_no_script_and_asks_nobody(told):
    assert "script" not in told.tags
    assert [one for one in told.addresses if not one.startswith("#")] == []
    assert not re.search(r"url\(|@import|https?://(?!www\.w3\.org)", told.markup)
    assert "default-src 'none'" in told.markup.replace("&#x27;", "'")


def test_names_and_reasons_are_shown_as_text(told):
    assert "<script>" not in told.markup
    clients = [row["Client"] for row in told.table("What each client did")]
    assert "<script>alert(1)</script>" in clients
    (why,) = [row["Why"] for row in told.table("Who did what") if row["What"] == "rollback"]
    assert why == "<script>alert(1)</script> was poisoned"


def test_settings_branches_and_fingerprints_are_told(run, told):
    said = " ".join(told.text)
    for fact in ("strategy.local.lr", "@serving (2)", "other gen 1", run.id, run.parameters_sha256):
        assert fact in said
    record = next(iter(run.source.ask("SELECT * FROM runs WHERE branch = 'main'", rows=9, timeout_s=5)))  # fmt: skip
    assert record["plan_hash"] in said


def test_a_report_without_clients_names_none_and_quotes_nobody(run, tmp_path):
    told = Report(run.report(tmp_path / "told.html", clients=False))
    said = " ".join(told.text)
    assert "This report names no single client." in said
    assert "c-plain" not in said
    assert "poisoned" not in said


def test_a_report_without_clients_counts_those_that_the_plan_leaves_out(lab, run, tmp_path):
    run.branch("fewer", at=2, exclude=["c-plain"])
    fewer = lab.run("told/fewer")
    digest = fewer.plan.hash
    for clients in (True, False):
        told = Report(fewer.report(tmp_path / "told.html", clients=clients))
        said = " ".join(told.text)
        assert [word in said for word in ("c-plain", digest, "hidden-1")] == [
            clients,
            clients,
            not clients,
        ]


def test_a_viewer_elsewhere_is_told_what_the_role_may_see(lab, tmp_path):
    lab.coordinator.listen()
    token, _ = written_token(lab.store, "vera", "viewer", timedelta(hours=1))
    with flnb.connect(place_of(lab).address, token) as there:
        told = Report(there.attach("told").report(tmp_path / "told.html"))
    said = " ".join(told.text)
    assert "This report names no single client." in said
    assert "poisoned" not in said
    assert len(told.table("The rounds that lead")) == 5


def test_a_report_that_cannot_be_written_says_why_and_leaves_nothing(run, tmp_path):
    with pytest.raises(StoreError, match="cannot be written: Is a directory"):
        run.report(tmp_path)
    assert list(tmp_path.parent.glob(f".{tmp_path.name}-*")) == []


def test_a_run_before_its_first_round_has_a_report(lab, tmp_path):
    lab.run("told").branch("unborn", at=0)
    told = Report(lab.run("told/unborn").report(tmp_path / "unborn.html"))
    assert "No round is closed yet." in " ".join(told.text)


def test_a_cell_shows_the_whole_report_in_a_frame_that_fetches_and_runs_nothing(run, tmp_path):
    shown = run.report_cell(clients=False)
    told = shown._repr_mimebundle_()
    assert told["text/plain"] == repr(shown) == "Report of run told"
    (within,) = re.findall(r'<iframe title="Report of run told" sandbox srcdoc="([^"]*)"', told["text/html"])  # fmt: skip
    written = run.report(tmp_path / "run.html", clients=False).read_text()
    footer = re.compile(r"<footer>.*")  # says when
    assert footer.sub("", unescape(within)) == footer.sub("", written)


def test_rounds_without_a_commit_of_their_own_are_told_of_too(tmp_path):
    task, plan = task_of(), plan_of(3).replace(commit_every=2)
    with flnb.Coordinator(tmp_path / "lab") as coordinator:
        coordinator.simulate(task, workers=0)
        run = coordinator.run(plan, task).wait(60)
        told = Report(run.report(tmp_path / "told.html"))
    rows = told.table("The rounds that lead to the head of the run")
    assert [row["Commit"] == "–" for row in rows] == [True, False, False]
