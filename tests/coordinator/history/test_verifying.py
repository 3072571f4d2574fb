"""A lab is checked offline: what was changed on the disk, or in the log, is found."""

import re
import shutil
import sqlite3
from dataclasses import replace

import pytest

import flnb
from flnb.coordinator.history.verifying import verify
from flnb.core import SecretRoot
from flnb.store import LogKey, StateStore
from flnb.store.closing_rows import to_row


@pytest.fixture(scope="module")
def original(tmp_path_factory, task):
    folder = tmp_path_factory.mktemp("original") / "lab"
    local = flnb.Local(epochs=1, batch_size=32, lr=0.1)
    plan = flnb.Plan(strategy=flnb.FedAvg(local=local), rounds=4, invite=4, seed=1, commit_every=2)
    with flnb.Coordinator(folder) as coord:
        coord.simulate(task, workers=0)
        run = coord.run(plan, task, name="otter").wait(60)
        run.branch("lr", at=2).resume().wait(60)
        run.rollback(to=2).apply("poisoned")
    return folder


@pytest.fixture
def lab(original, tmp_path):
    shutil.copytree(original, tmp_path / "lab")
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


def test_a_row_that_names_others_than_took_part_is_found_and_says_who(lab):
    key = lab.run("otter").checkpoint(2).key
    row = lab.store.state.closing_of(key)
    clients = [str(client) for client in row.updates["client"]]
    updates = {name: list(values) for name, values in row.updates.items()}
    updates |= {"client": [*clients[:-1], "c099"]}
    blob = to_row(replace(row, updates=updates))["updates"]
    with sqlite3.connect(lab.path / "state.db") as connection:
        connection.execute(
            "UPDATE closings SET updates = ? WHERE snapshot = ?", (blob, row.snapshot)
        )
    (problem,) = verify(lab.store).problems
    assert re.search(rf"was made of {clients[-1]} \(weight \d+\), .* names c099 \(weight", problem)


def test_a_log_that_was_cut_off_is_missed_by_the_commits(lab, tmp_path):
    with sqlite3.connect(tmp_path / "lab" / "state.db") as connection:
        connection.execute("DELETE FROM operations")
    assert "is in a commit" in verify(lab.store).problems[-1]


def rechained(path, key=None):
    """Give every operation the digest that it would have, and the signature, if there is a key."""
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE operations SET digest = NULL, signature = NULL")
    store = StateStore(path)
    operations = store.operations()
    with sqlite3.connect(path) as connection:
        connection.execute("DELETE FROM operations")
        connection.execute("UPDATE lab SET log_key = NULL")
    if key is not None:
        store.sign_log_with(lambda: key)
    for operation in operations:
        store.append_operation(operation)
    store.close()


def edited(lab, tmp_path, statement):
    with sqlite3.connect(tmp_path / "lab" / "state.db") as connection:
        connection.execute(statement)
    return "\n".join(verify(lab.store).problems)


def test_a_log_that_was_chained_anew_is_found(lab, tmp_path):
    edited(lab, tmp_path, "UPDATE operations SET actor = 'eve' WHERE verb = 'rollback'")
    rechained(tmp_path / "lab" / "state.db")
    assert "carries a log of another key" in "\n".join(verify(lab.store).problems)


def test_a_log_that_was_signed_with_another_key_is_found_with_and_without_the_secret(lab, tmp_path):
    right = verify(lab.store).key
    rechained(tmp_path / "lab" / "state.db", LogKey(SecretRoot(b"x" * 32)))
    problems = verify(lab.store, right).problems
    assert "carries a log of another key" in problems[0]
    assert any(f"not with {right}" in problem for problem in problems)
    assert "it was exchanged" in verify(lab.store).problems[-1]
    (tmp_path / "lab" / "secret").unlink()
    assert "carries a log of another key" in verify(flnb.open(tmp_path / "lab").store).problems[0]


@pytest.mark.parametrize("cut", ["signature = NULL", "signature = x'00'"])
def test_an_operation_without_its_signature_is_named(lab, tmp_path, cut):
    found = edited(lab, tmp_path, f"UPDATE operations SET {cut} WHERE verb = 'rollback'")
    assert "rollback by" in found
    assert "is not signed with the lab's key" in found


def test_signatures_that_were_all_taken_out_are_missed(lab, tmp_path):
    assert "were taken out" in edited(lab, tmp_path, "UPDATE operations SET signature = NULL")
