"""A lab is checked offline: what was changed on the disk, or in the log, is found."""

import sqlite3

import pytest

import flnb
from flnb.coordinator.history.verifying import verify


@pytest.fixture
def lab(coord, plan, task, tmp_path):
    run = coord.run(plan.replace(rounds=4, commit_every=2), task, name="otter").wait(60)
    run.branch("lr", at=2).resume().wait(60)
    run.rollback(to=2).apply("poisoned")
    coord.stop()
    return flnb.open(tmp_path / "lab")


def test_a_lab_that_nobody_touched_is_whole(lab):
    verdict = verify(lab.store)
    assert (verdict.commits, verdict.problems) == (3, ())
    assert verdict.operations >= 4


def test_a_commit_tells_who_took_part_and_what_made_it(lab):
    meta = lab.store.history.meta(lab.run("otter").checkpoint(2).snapshot)
    assert len(meta["participants"]["client"]) == len(meta["participants"]["weight"]) == 4
    assert (meta["run"], meta["round"], meta["seed"]) == ("otter", 2, 1)
    assert meta["plan_hash"] == lab.run("otter").plan.hash
    assert meta["fingerprint"]["layout"]


def test_a_changed_chunk_is_found_and_named(lab):
    chunks = sorted(
        lab.store.history.place.folder.glob("chunks/*"), key=lambda one: one.stat().st_size
    )
    data = bytearray(chunks[-1].read_bytes())
    data[5] ^= 1
    chunks[-1].write_bytes(bytes(data))
    (problem, *_) = verify(lab.store).problems
    assert "of otter" in problem


def test_a_changed_row_is_found(lab, tmp_path):
    with sqlite3.connect(tmp_path / "lab" / "state.db") as connection:
        connection.execute("UPDATE closings SET parameters_sha256 = 'x' WHERE round = 4")
        connection.execute("UPDATE operations SET reason = 'nothing' WHERE verb = 'rollback'")
    problems = verify(lab.store).problems
    assert sum("is damaged" in problem for problem in problems) == 2
    assert "was changed" in problems[-1]


def test_a_log_that_was_cut_off_is_missed_by_the_commits(lab, tmp_path):
    with sqlite3.connect(tmp_path / "lab" / "state.db") as connection:
        connection.execute("DELETE FROM operations")
    assert "is in a commit" in verify(lab.store).problems[-1]
