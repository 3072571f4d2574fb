"""Signed updates on the disk: whole or not there, few, and readable by whoever sends them."""

from __future__ import annotations

import errno
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

from flnb.client import outbox as outbox_module
from flnb.client.outbox import Outbox
from flnb.core.errors import StorageFullError
from flnb.tensors import Layout, Update, aligned
from flnb.transport.manifest import CHUNK_BYTES, Manifest
from flnb.transport.v1 import federation_pb2 as pb

SMALL = Layout.of([("w", (5,), "float32", "parameter"), ("n", (), "int64", "buffer")])
LARGE = Layout.of([("w", (150_000,), "float32", "parameter"), ("n", (), "int64", "buffer")])

LARGEST = Layout.of([("w", (1_100_000,), "float32", "parameter"), ("n", (), "int64", "buffer")])


def update(layout=SMALL, value=1.0):
    values, integers = aligned(layout.n_values, np.float32), aligned(layout.n_integers, np.int64)
    values[:] = value + np.arange(layout.n_values)
    integers[0] = 7
    return Update(layout, values, integers)


def id_of(number, run="run"):
    return pb.AssignmentId(run=run, generation=1, round=number, stage="train", client="a")


def put(outbox, number, layout=SMALL, run="run", metrics=()):
    given = update(layout)

    def seal(manifest):
        chunks = manifest.to_message()
        envelope = pb.Envelope(assignment=id_of(number, run), update=chunks, metrics=metrics)
        return envelope.SerializeToString(), bytes(range(64))

    held = outbox.write(id_of(number, run), given, seal)
    outbox.keep(held)
    return given, held


@pytest.mark.parametrize(("layout", "chunks"), [(SMALL, 1), (LARGE, 3)])
def test_an_update_is_the_same_after_a_restart(tmp_path, layout, chunks):
    given, first = put(Outbox(tmp_path), 1, layout)
    (held,) = Outbox(tmp_path).held
    payload = given.values.tobytes() + given.integers.tobytes()
    assert held.manifest == first.manifest == Manifest.of(payload)
    assert held.manifest.chunk_count == chunks
    assert held.chunks(range(chunks)) == payload
    assert (held.signed, held.signature) == (first.signed, bytes(range(64)))
    assert held.assignment == id_of(1)


def test_an_update_that_is_written_over_a_longer_one_ends_where_it_ends(tmp_path):
    outbox = Outbox(tmp_path)
    many = [pb.Metric(name="m" * 50, total=1.0, count=1.0)] * 20
    _, longer = put(outbox, 1, LARGEST, metrics=many)
    n_bytes, inode = longer.path.stat().st_size, longer.path.stat().st_ino
    del longer
    outbox.forget(id_of(1))
    _, second = put(outbox, 2, LARGEST)
    assert second.path.stat().st_ino == inode
    assert second.path.stat().st_size < n_bytes
    (held,) = Outbox(tmp_path).held
    assert held.chunks(range(held.manifest.chunk_count)) == second.data.tobytes()


def test_only_an_update_of_one_chunk_travels_with_its_offer(tmp_path):
    outbox = Outbox(tmp_path)
    given, small = put(outbox, 1)
    _, large = put(outbox, 2, LARGE)
    assert small.offer().offer.inline == given.values.tobytes() + given.integers.tobytes()
    assert large.offer().offer.inline == b""
    assert large.manifest.n_bytes > CHUNK_BYTES


def test_the_oldest_of_too_many_goes_also_after_a_restart(tmp_path):
    outbox = Outbox(tmp_path)
    for number in (1, 2, 3):
        put(outbox, number)
    assert [held.assignment.round for held in outbox.held] == [2, 3]
    again = Outbox(tmp_path)
    assert [held.assignment.round for held in again.held] == [2, 3]
    put(again, 4)
    assert [held.assignment.round for held in again.held] == [3, 4]
    assert len(list(tmp_path.iterdir())) == 2


def test_an_update_is_found_by_all_that_an_assignment_says(tmp_path):
    outbox = Outbox(tmp_path)
    put(outbox, 1)
    assert outbox.find(id_of(1)) is not None
    assert outbox.find(id_of(1, run="other")) is None
    assert outbox.find(id_of(2)) is None


def test_the_same_assignment_again_takes_the_place_of_the_first(tmp_path):
    outbox = Outbox(tmp_path)
    put(outbox, 1)
    put(outbox, 2)
    put(outbox, 1)
    assert [held.assignment.round for held in outbox.held] == [2, 1]


def test_what_is_sent_can_be_read_to_its_end_when_it_is_forgotten(tmp_path):
    outbox = Outbox(tmp_path)
    given, held = put(outbox, 1, LARGE)
    outbox.forget(id_of(1))
    outbox.forget(id_of(1))
    assert not list(tmp_path.iterdir())
    assert held.chunks([0]) == given.values.tobytes()[:CHUNK_BYTES]


@pytest.mark.parametrize("cut", [1, 8, 70, 100, 200])
def test_files_that_are_not_whole_are_removed(tmp_path, cut):
    _, held = put(Outbox(tmp_path), 1)
    whole = held.path.read_bytes()
    held.path.write_bytes(whole[:-cut])
    (tmp_path / "x.partial").write_bytes(whole)
    (tmp_path / "y.signed").write_bytes(b"")
    (tmp_path / "z.signed").write_bytes(whole[cut:])
    (tmp_path / "notes.txt").write_text("kept")
    assert not Outbox(tmp_path).held
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_a_full_disk_leaves_nothing_behind(tmp_path, monkeypatch):
    outbox = Outbox(tmp_path)

    def full(_fd):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageFullError):
        put(outbox, 1)
    assert not list(tmp_path.iterdir())
    assert not outbox.held


def test_bytes_are_on_the_disk_before_the_name_and_the_name_before_the_offer(tmp_path, monkeypatch):
    steps = []
    real_sync, real_replace = os.fsync, Path.replace

    def sync(fd):
        steps.append(("sync", Path(os.readlink(f"/proc/self/fd/{fd}")).suffix))
        real_sync(fd)

    def replace(path, target):
        steps.append(("rename", path.suffix))
        return real_replace(path, target)

    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(Path, "replace", replace)
    put(Outbox(tmp_path), 1)
    assert steps == [("sync", ".partial"), ("rename", ".partial"), ("sync", "")]


def test_a_large_update_begins_its_way_to_the_disk_before_it_is_whole(tmp_path, monkeypatch):
    sent, sizes = [], []

    def begin(handle, start, n_bytes):
        sent.append((start, start + n_bytes))
        sizes.append(os.fstat(handle).st_size)

    monkeypatch.setattr(outbox_module, "SOONER_BYTES", 200_000)
    monkeypatch.setattr(outbox_module, "begin_writing", begin)
    put(Outbox(tmp_path), 1, LARGE)
    n_bytes = 4 * LARGE.n_values
    whole = n_bytes + 8 * LARGE.n_integers
    assert sent == [(0, 200_000), (200_000, 400_000), (400_000, n_bytes), (n_bytes, whole)]
    assert sizes == [stop for _, stop in sent], "what is sent is in the file"


def test_a_kill_at_any_moment_leaves_whole_updates_or_none(tmp_path, interpreters):
    program = """if True:
        from pathlib import Path
        from flnb.client.outbox import Outbox
        from tests.client.test_outbox import LARGE, put
        outbox = Outbox(Path(sys.argv[1]))
        print("begun", flush=True)
        for number in range(1, 10**6):
            put(outbox, number, LARGE)
    """
    with interpreters.start(program, tmp_path) as child:
        assert child.stdout.readline() == "begun\n"
        with pytest.raises(subprocess.TimeoutExpired):
            child.wait(0.7)
        child.kill()
    expected = Manifest.of(update(LARGE).values.tobytes() + update(LARGE).integers.tobytes())
    for held in Outbox(tmp_path).held:
        assert held.manifest == Manifest.of(held.data.data) == expected
