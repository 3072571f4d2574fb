import json
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from flnb.cli import labs
from flnb.core.errors import GuardError, LabLostError
from flnb.core.plan import Plan
from flnb.core.view import RunView, Status
from flnb.store import Holder
from tests.cli.standins import VIEW, FakeRun


def test_runs_are_listed_with_state_and_latest_measure(flnb, lab):
    lab.all.append(FakeRun(RunView("bold-fox", "main", 1, Status.INTERRUPTED, rounds=5)))
    shown = flnb("runs", "list")
    heads, first, second = shown.out.splitlines()
    assert heads.split() == ["run", "status", "round", "latest", "started"]
    assert first.split()[:4] == ["quiet-otter", "●", "running", "42/100"]
    assert "accuracy 0.840" in first
    assert second.split() == ["bold-fox", "◌", "interrupted", "0/5", "–", "–"]


def test_the_list_as_json_is_pure_data(flnb, lab):
    (run,) = json.loads(flnb("runs", "list", "--json").out)
    assert (run["run"], run["status"], run["round"]) == ("quiet-otter", "running", 42)
    assert run["metrics"] == {"accuracy": 0.84, "loss": pytest.approx(1 / 42)}


def test_an_empty_lab_says_what_fills_it(flnb, lab):
    lab.all.clear()
    shown = flnb("runs", "list")
    assert shown.out == ""
    assert "flnb quickstart" in shown.err
    assert json.loads(flnb("runs", "list", "--json").out) == []


def test_show_tells_state_rounds_and_plan(flnb, lab):
    lines = flnb("runs", "show", "quiet-otter").out.splitlines()
    assert lines[0].startswith("quiet-otter · main · ● running · round 42/100")
    assert lines[2].split()[:3] == ["round", "accuracy", "loss"]
    assert lines[3].split()[0] == "42"
    assert lines[-1] == "rounds: 100"


def test_an_unknown_run_offers_the_nearest(flnb, lab):
    shown = flnb("runs", "show", "quiet-oter")
    assert shown.code == 2
    assert "did you mean 'quiet-otter'?" in shown.err


def test_a_metric_that_is_not_finite_is_null_in_json(flnb, lab):
    rows = (replace(VIEW.rows[0], metrics={"accuracy": float("nan")}),)
    lab.all[:] = [FakeRun(replace(VIEW, rows=rows))]
    shown = json.loads(flnb("runs", "show", "quiet-otter", "--json").out)
    assert shown["metrics"] == {"accuracy": None}


def test_watch_shows_each_round_until_the_run_rests(flnb, lab, monkeypatch):
    monkeypatch.setattr("flnb.cli.runs.WATCH_S", 0.0)
    row = VIEW.rows[0]
    views = [replace(VIEW, round=n, rows=(replace(row, round=n), *VIEW.rows[:7])) for n in (43, 44)]
    lab.all[:] = [FakeRun(*views, replace(views[-1], status=Status.FINISHED))]
    shown = flnb("runs", "watch", "quiet-otter", "--json")
    rounds = [line.split()[1] for line in shown.err.splitlines() if line.startswith("round")]
    assert rounds[-3:] == ["42/100", "43/100", "44/100"]
    assert json.loads(shown.out)["status"] == "finished"


@pytest.mark.parametrize("what", ["pause", "stop"])
def test_a_run_is_told_from_another_terminal(flnb, lab, what):
    run = lab.all[0]
    assert json.loads(flnb("runs", what, "quiet-otter", "--json").out) == {
        "run": "quiet-otter",
        "asked": what,
    }
    assert run.told == [what]


def test_a_resting_run_is_stopped_at_once(flnb, lab):
    lab.all[:] = [FakeRun(replace(VIEW, status=Status.STOPPED))]
    assert flnb("runs", "stop", "quiet-otter").err == "stopped quiet-otter\n"


def test_resume_drives_the_run_to_its_end(flnb, lab):
    lab.all[:] = [FakeRun(VIEW, replace(VIEW, status=Status.FINISHED))]
    shown = flnb("runs", "resume", "quiet-otter", "--json")
    assert shown.code == 0
    assert json.loads(shown.out)["parameters_sha256"] == "ab" * 32


def test_a_run_of_another_process_is_asked_to_resume_there(flnb, lab):
    lab.all[0].driven_here = False
    shown = flnb("runs", "resume", "quiet-otter", "--json")
    assert json.loads(shown.out) == {"run": "quiet-otter", "asked": "resume"}


def test_a_run_that_pauses_by_itself_is_a_failure_with_its_reason(flnb, lab):
    paused = replace(VIEW, status=Status.PAUSED, error="needs 8, 5 were usable\n→ lower plan.need")
    lab.all[:] = [FakeRun(VIEW, paused)]
    shown = flnb("runs", "resume", "quiet-otter", "--lab", "other")
    assert shown.code == 1
    assert "→ lower plan.need" in shown.err
    assert shown.err.endswith("→ flnb runs resume quiet-otter --lab other\n")


def test_a_run_that_goes_on_elsewhere_is_watched_there(flnb, lab):
    lost = LabLostError("lab", 1, 2, "coordinator (process 4711 on box)")
    lab.all[:] = [FakeRun(VIEW, replace(VIEW, status=Status.PAUSED, error=str(lost)), why=lost)]
    state = ("--state", "postgresql://me:secret@host/db")
    shown = flnb("runs", "resume", "quiet-otter", "--lab", "other", *state)
    assert shown.code == 3
    assert "runs resume" not in shown.err
    last = shown.err.splitlines()[-1]
    command = "runs watch quiet-otter --lab other --state 'postgresql://me:***@host/db'"
    assert last == f"quiet-otter goes on elsewhere; watch it with flnb {command}"


def test_hints_of_a_pause_name_options_that_are_there(flnb, lab, monkeypatch):
    monkeypatch.setattr(labs, "_is_served", lambda path: False)
    why = GuardError(6, "loss > 2", "it says to pause")
    lab.all[:] = [FakeRun(VIEW, replace(VIEW, status=Status.PAUSED, error=str(why)), why=why)]
    lab.all[0].plan = Plan(rounds=100)
    shown = flnb("runs", "resume", "quiet-otter", "--set", "rounds=120")
    assert lab.changes == {"rounds": 120}
    assert "run." not in shown.err
    assert "flnb runs resume quiet-otter --set guards=[…]" in shown.err
    assert "flnb run rollback quiet-otter --to …" in flnb("runs", "show", "quiet-otter").out


def test_who_is_waited_for_is_said(monkeypatch, capsys):
    monkeypatch.setattr(labs, "_SILENT_S", 0.0)
    state = SimpleNamespace(leased_for_s=lambda: 9.2)
    holder = Holder("coordinator", 4711, "vm", datetime.now(UTC))
    with labs.waiting(SimpleNamespace(store=SimpleNamespace(holder=holder, state=state))) as timer:
        timer.join()
    said = (
        "held by coordinator (process 4711 on vm), which does not answer; free in 9 s if it is gone"
    )
    assert capsys.readouterr().err == f"{said}: waiting, ^C ends that\n"
