"""Old commits let go: what goes, what stays whatever its age, and that bytes are really freed."""

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import flnb
from flnb.coordinator.history.verifying import verify
from flnb.core.clock import SystemClock
from flnb.core.errors import NotFoundError, PlanError, RoundStateError
from flnb.store import LabStore, StateStore
from flnb.store.retention import DESCRIPTION_BYTES

ROOT = Path(__file__).parent.parent.parent.parent
DAYS = 40


class Later(SystemClock):
    """Forty days ahead."""

    def now(self):
        return datetime.now(UTC) + timedelta(days=DAYS)


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """Twelve rounds, a branch at 3 that is rolled back from 6 to 5, and a name for round 2."""
    folder = tmp_path_factory.mktemp("original") / "lab"
    local = flnb.Local(epochs=1, batch_size=32, lr=0.1)
    plan = flnb.Plan(strategy=flnb.FedAvgM(local=local), rounds=12, invite=4, seed=1)
    task = flnb.tasks.digits(model="softmax", split=flnb.IID(clients=6, seed=0))
    with flnb.Coordinator(folder) as coord:
        coord.simulate(task, workers=0)
        run = coord.run(plan.replace(commit_every=1), task, name="otter").wait(60)
        branch = run.branch("lr", at=3, rounds=6).resume().wait(60)
        branch.rollback(to=5).apply("poisoned")
        run.alias("serving", 2)
    return folder


@pytest.fixture
def lab(original, tmp_path):
    shutil.copytree(original, tmp_path / "lab")
    return flnb.Lab(LabStore.open(tmp_path / "lab", clock=Later()))


def objects(lab):
    """Number and bytes of what Icechunk's garbage collection counts."""
    folders = ("chunks", "manifests", "snapshots", "transactions")
    files = [file for name in folders for file in (lab.path / "history" / name).iterdir()]
    return len(files), sum(file.stat().st_size for file in files)


def test_a_preview_says_what_goes_and_what_stays_and_does_nothing(lab):
    before = objects(lab)
    preview = lab.expire("otter", older_than="30d", keep="every 10th, best")
    best = lab.run("otter").checkpoint("@best").round
    stay = {2, 3, 10, 12, best}  # named, stood on, every 10th, head
    gone = [key.round for key in preview.goes if key.run == lab.run("otter").id]
    assert gone == [number for number in range(1, 13) if number not in stay]
    assert preview.leaves["otter/lr gen 1"] == "4"  # 5 is stood on, 6 was left behind
    for words in ("nothing has happened", "stays: named serving", "before-rollback-lr-1", "frees"):
        assert words in repr(preview)
    assert objects(lab) == before


def test_what_a_preview_says_is_what_is_freed(lab):
    preview = lab.expire("otter", keep="every 5th, tagged")
    n_before, bytes_before = objects(lab)
    freed = preview.apply("old")
    n_after, bytes_after = objects(lab)
    assert preview.freed.objects == freed.objects == n_before - n_after
    tolerance = DESCRIPTION_BYTES * len(preview.goes)
    assert abs(preview.freed.size_bytes - (bytes_before - bytes_after)) < tolerance
    assert freed.size_bytes > 0.5 * bytes_before


def test_what_stays_is_whole_and_what_went_says_who_let_it_go(lab):
    before = {number: lab.run("otter").checkpoint(number).sha256 for number in (2, 3, 5, 10, 12)}
    lab.expire("otter", keep="every 5th").apply("old news")
    assert verify(lab.store).problems == ()
    run = lab.run("otter")
    assert {number: run.checkpoint(number).model().sha256() for number in before} == before
    with pytest.raises(NotFoundError, match="commit of closed round '7'") as gone:
        run.checkpoint(7)
    assert "5 and 10" in gone.value.hint
    rows = run.history.df().query("branch == 'main'").set_index("round")
    assert "old news" in rows.loc[7, "expired"]
    assert rows.loc[10, "expired"] == ""
    assert run.rollback(to=7).again == [6, 7]


def test_runs_go_on_from_what_stays(lab):
    lab.expire("otter", keep="").apply("old")
    with flnb.Coordinator(lab) as coord:
        task = flnb.tasks.digits(model="softmax", split=flnb.IID(clients=6, seed=0))
        coord.simulate(task, workers=0)
        before = lab.run("otter").parameters_sha256
        lab.run("otter").rollback(to=9).apply("again")
        assert lab.run("otter").resume().wait(60).parameters_sha256 == before
        lab.run("otter/lr").resume().wait(60)
    assert verify(lab.store).problems == ()


def test_a_second_time_frees_what_other_rules_keep(lab):
    lab.expire("otter", keep="every 2nd").apply("first")
    preview = lab.expire("otter", keep="")
    freed = preview.apply("second")
    assert (preview.freed.objects, freed.objects) == (freed.objects, preview.freed.objects)
    assert lab.expire("otter", keep="").goes == []
    assert preview.apply("second") == freed  # done once
    assert verify(lab.store).problems == ()


def test_nothing_young_goes(original, tmp_path):
    shutil.copytree(original, tmp_path / "lab")
    lab = flnb.open(tmp_path / "lab")
    before = objects(lab)
    preview = lab.expire(older_than="24h", keep="")
    assert (preview.goes, preview.apply("early").objects) == ([], 0)
    assert objects(lab) == before
    with pytest.raises(PlanError, match="younger than 24 h"):
        lab.expire(older_than="23h")


def test_what_was_named_or_stood_on_meanwhile_stays(lab):
    preview = lab.expire("otter", keep="")
    lab.run("otter").alias("candidate", 7)
    before = objects(lab)
    with pytest.raises(RoundStateError, match="round 7 of otter stays: it is named candidate"):
        preview.apply("old")
    assert objects(lab) == before
    assert lab.run("otter").checkpoint(8).round == 8


def test_a_protected_branch_keeps_all_and_a_name_what_it_meant_before(lab):
    lab.run("otter").protect()
    assert {key.run for key in lab.expire("otter", keep="").goes} == {lab.run("otter/lr").id}
    lab.run("otter").protect(False)
    lab.run("otter").alias("serving", 8)
    lab.expire("otter", keep="").apply("old")
    assert lab.run("otter").revert_alias("serving").round == 2


def test_a_commit_that_went_is_neither_forked_nor_named(lab):
    run = lab.run("otter")
    seen = run.checkpoint(7)
    lab.expire("otter", keep="").apply("old")
    with pytest.raises(NotFoundError, match="7"):
        run.branch("late", at=7)
    with pytest.raises(RoundStateError, match="round 7 has expired"):
        lab.store.state.give_name("late", seen.key, flnb.coordinator.acting.request("x"))


def test_an_empty_lab_has_nothing_to_let_go(tmp_path):
    preview = flnb.open(tmp_path / "new").expire()
    assert (preview.goes, preview.apply("old").objects) == ([], 0)


def test_unknown_rules_and_runs_are_refused(lab):
    with pytest.raises(PlanError, match="'tagget'") as unknown:
        lab.expire(keep="tagget")
    assert "did you mean 'tagged'?" in unknown.value.hint
    for keep in ("every 0th", "every tenth"):
        with pytest.raises(PlanError, match="not a rule"):
            lab.expire(keep=keep)
    with pytest.raises(NotFoundError, match="oter"):
        lab.expire("oter")
    with pytest.raises(PlanError, match="reason"):
        lab.expire("otter").apply(" ")


WRITER = """
import sys
from datetime import UTC, datetime, timedelta
import flnb
from flnb.core.clock import SystemClock
from flnb.store import LabStore
class Later(SystemClock):
    def now(self): return datetime.now(UTC) + timedelta(days=40)
local = flnb.Local(epochs=1, batch_size=32, lr=0.1)
plan = flnb.Plan(strategy=flnb.FedAvgM(local=local), rounds=30, invite=4, seed=1, commit_every=1)
task = flnb.tasks.digits(model="softmax", split=flnb.IID(clients=6, seed=0))
with flnb.Coordinator(flnb.Lab(LabStore.open(sys.argv[1], clock=Later()))) as coord:
    coord.simulate(task, workers=0)
    run = coord.run(plan, task, name="busy")
    print("going", flush=True)
    run.wait(120)
    sys.stdin.readline()
"""


def test_no_request_takes_the_commit_from_a_round_of_today_whatever_it_says(original, tmp_path):
    shutil.copytree(original, tmp_path / "lab")
    lab = flnb.open(tmp_path / "lab")
    preview = lab.expire("otter")
    assert preview.goes == []
    preview.goes.append(lab.run("otter").checkpoint(1).key)
    with pytest.raises(PlanError, match="round 1 closed less than a day ago"):
        preview.apply("made by hand")
    assert lab.run("otter").checkpoint(1).snapshot


def test_a_round_that_closes_while_a_preview_looks_is_not_among_those_that_go(lab, monkeypatch):
    reached = StateStore.reached

    def and_then_goes_on(state, trunk):
        found = reached(state, trunk)
        monkeypatch.undo()
        lab.run("otter/lr").resume().wait(60)
        return found

    with flnb.Coordinator(lab) as coord:
        coord.simulate(
            flnb.tasks.digits(model="softmax", split=flnb.IID(clients=6, seed=0)), workers=0
        )
        monkeypatch.setattr(StateStore, "reached", and_then_goes_on)
        preview = lab.expire("otter", keep="every 10th")
        preview.apply("old")
        assert lab.run("otter/lr").history.checkpoint("@head").round == 6
    assert verify(lab.store).problems == ()


def test_a_run_that_commits_meanwhile_in_another_process_loses_nothing(tmp_path, interpreters):
    with interpreters.start(WRITER, tmp_path / "lab") as writer:
        writer.stdout.readline()
        lab = flnb.Lab(LabStore.open(tmp_path / "lab", clock=Later()))
        freed = []
        while lab.store.state.head(lab.store.state.run("busy").id).round < 30:
            preview = lab.expire("busy", keep="every 10th")
            freed.append(preview.apply("while it goes on").objects)
        writer.communicate("\n", timeout=60)
    assert sum(map(bool, freed)) >= 2
    lab.expire("busy", keep="every 10th").apply("the rest")
    assert verify(lab.store).problems == ()
    rounds = [key.round for key in lab.run("busy").history.commits()]
    assert rounds == [10, 20, 30]
    assert len(list((lab.path / "history" / "snapshots").iterdir())) == 1 + len(rounds)
