"""Who holds a lab: one process, by name, and only as long as it lives."""

import errno
import json
import os
import socket
import sqlite3
import time
from contextlib import closing

import pytest

from flnb.core.errors import LabHeldError
from flnb.store import LabStore, Lease
from flnb.store.lease import held_elsewhere, holder
from flnb.testing.stores import sample_run

HOLD = (
    "import sys, time; from pathlib import Path; from flnb.store import Lease;"
    "lease = Lease(Path(sys.argv[1]), 'coordinator'); print('held', flush=True); time.sleep(600)"
)


def test_a_second_lease_is_told_who_has_the_lab_and_since_when(tmp_path):
    with Lease(tmp_path / "lab.lock", "coordinator"), pytest.raises(LabHeldError) as refused:
        Lease(tmp_path / "lab.lock", "other")
    assert refused.value.holder.startswith(f"coordinator (process {os.getpid()} on ")
    assert refused.value.since.endswith("UTC")


def test_a_released_lab_can_be_taken_again(tmp_path):
    first = Lease(tmp_path / "lab.lock", "a much longer name of a coordinator")
    first.release()
    first.release()
    assert holder(tmp_path / "lab.lock") is None
    with Lease(tmp_path / "lab.lock", "b"):
        assert holder(tmp_path / "lab.lock").who == "b"


def test_a_killed_process_lets_go(tmp_path, interpreters):
    path = tmp_path / "lab.lock"
    with interpreters.start(HOLD, path) as other:
        assert other.stdout.readline() == "held\n"
        with pytest.raises(LabHeldError, match=f"process {other.pid}"):
            Lease(path, "mine")
        other.kill()
        other.wait()
    with Lease(path, "mine"):
        assert holder(path).pid == os.getpid()


def test_looking_does_not_take_the_lab_away(tmp_path):
    assert holder(tmp_path / "lab.lock") is None
    for _ in range(50):
        with Lease(tmp_path / "lab.lock", "a"):
            assert holder(tmp_path / "lab.lock").who == "a"
    began = time.monotonic()
    with Lease(tmp_path / "lab.lock", "a"), pytest.raises(LabHeldError):
        Lease(tmp_path / "lab.lock", "b")
    assert time.monotonic() - began < 1


def test_a_lease_that_cannot_be_written_does_not_keep_the_lab(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", full)
        with pytest.raises(OSError, match="No space"):
            Lease(tmp_path / "lab.lock", "first")
    with Lease(tmp_path / "lab.lock", "second") as lease:
        assert lease.held


def test_a_folder_remembers_who_took_it_when(tmp_path):
    store = LabStore.open(tmp_path)
    for who in ("coordinator", "roll back"):
        with store.lease(who) as lease:
            holder_now = lease.holder
    epochs = store.state.epochs()
    assert [(one.epoch, one.holder.who) for one in epochs] == [(1, "coordinator"), (2, "roll back")]
    assert epochs[-1].holder.pid == holder_now.pid
    store.close()


def test_a_host_that_is_renamed_does_not_keep_a_process_from_its_own_lab(tmp_path, monkeypatch):
    store = LabStore.open(tmp_path)
    with store.lease("coordinator"):
        monkeypatch.setattr(socket, "gethostname", lambda: "renamed")
        store.state.create_run(sample_run())
        assert store.holder.is_here
        assert store.state.epochs()[-1].holder.is_here
    store.close()


@pytest.mark.parametrize(("word", "here"), [("another", False), (None, True)])
def test_a_process_of_the_same_number_and_host_is_told_by_its_word(tmp_path, word, here):
    path = tmp_path / "lab.lock"
    with Lease(path, "coordinator"):
        facts = json.loads(path.read_text())
        del facts["word"]  # as an older flnb wrote it
        path.write_text(json.dumps(facts | ({"word": word} if word else {})))
        assert holder(path).is_here is here
        assert (held_elsewhere(path) is None) is here


def test_a_lab_that_lacks_tables_is_opened_while_another_process_holds_it(tmp_path, monkeypatch):
    LabStore.open(tmp_path).close()
    with closing(sqlite3.connect(tmp_path / "state.db")) as database:
        database.execute("DROP TABLE tokens")
        database.execute("ALTER TABLE commands DROP COLUMN begun_at")
    with Lease(tmp_path / "lab.lock", "coordinator"):
        monkeypatch.setattr("flnb.store.lease._WORD", "another")
        store = LabStore.open(tmp_path)
        assert not store.holder.is_here
        assert (store.state.pending_commands(), store.state.tokens()) == ([], [])
        store.close()
