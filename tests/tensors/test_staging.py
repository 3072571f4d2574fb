"""Updates that arrive in pieces: whole and equal to the bit, or not there at all."""

import contextlib
import errno
import hashlib
import itertools
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flnb.core.errors import IntegrityError, StorageFullError, StoreError
from flnb.tensors import Layout, Spool, SpoolFile, Update, aligned
from flnb.tensors import staging as staging_module

NOTE = {"envelope": b"\x00signed\xff".hex(), "facts": {"n_examples": 7, "loss": 0.1}}


def layout_of(values=1000, integers=1):
    tensors = [("w", (values,), "float32", "parameter"), ("n", (integers,), "int64", "buffer")]
    return Layout.of(tensors[: 2 if integers else 1])


LAYOUT = layout_of()
PAYLOAD_BYTES = 4 * LAYOUT.n_values + 8 * LAYOUT.n_integers
NEVER = 10**9


def payload_of(layout, seed=0):
    """Any bits at all, NaNs with their payloads too."""
    return hashlib.shake_128(b"%d" % seed).digest(4 * layout.n_values + 8 * layout.n_integers)


def update_of(layout, payload):
    values, integers = aligned(layout.n_values, np.float32), aligned(layout.n_integers, np.int64)
    values.view(np.uint8)[:] = np.frombuffer(payload[: values.nbytes], np.uint8)
    integers.view(np.uint8)[:] = np.frombuffer(payload[values.nbytes :], np.uint8)
    return Update(layout, values, integers)


def in_pieces(staging, payload, size=300):
    for start in range(0, len(payload), size):
        staging.write(start, payload[start : start + size])


@pytest.fixture
def spool(tmp_path):
    return Spool(tmp_path / "spool", 20_000)


def suffixes(spool):
    return sorted(path.suffix for path in spool.directory.iterdir())


@st.composite
def arrivals(draw):
    """Sizes of a layout, and pieces that cover its payload in any order, some of them twice."""
    values, integers = draw(st.sampled_from([(16, 0), (16, 16), (48, 16), (32, 32)]))
    end = 4 * values + 8 * integers
    edges = sorted({0, end, *draw(st.lists(st.integers(0, end), max_size=12))})
    pieces = list(itertools.pairwise(edges))
    again = draw(st.lists(st.tuples(st.sampled_from(edges), st.sampled_from(edges)), max_size=4))
    pieces += [(start, stop) for start, stop in again if start <= stop]
    return (values, integers), draw(st.permutations(pieces))


@given(arrivals(), st.sampled_from([bytes, bytearray, memoryview]))
def test_any_order_and_cutting_makes_the_same_file_as_staging_it_whole(arrival, kind):
    (values, integers), pieces = arrival
    layout = layout_of(values, integers)
    payload = payload_of(layout)
    with tempfile.TemporaryDirectory() as folder:
        whole = Spool(Path(folder, "whole"), NEVER).stage("c1", update_of(layout, payload))
        staging = Spool(Path(folder, "pieces"), NEVER).receive("c1", layout)
        for start, stop in pieces:
            staging.write(start, kind(payload[start:stop]))
        file = staging.commit()
        assert file.path.read_bytes() == whole.path.read_bytes()
        assert file.path.name == whole.path.name
        again = file.open(layout)
        assert again.values.tobytes() + again.integers.tobytes() == payload


@given(arrivals(), st.integers(0, 99))
def test_an_update_with_a_gap_is_not_taken_for_whole(arrival, lost):
    (values, integers), pieces = arrival
    layout = layout_of(values, integers)
    payload = payload_of(layout)
    gap = lost % len(payload)
    with tempfile.TemporaryDirectory() as folder:
        spool = Spool(Path(folder), NEVER)
        staging = spool.receive("c1", layout)
        for start, stop in pieces:
            for first, last in ((start, min(stop, gap)), (max(start, gap + 1), stop)):
                staging.write(first, payload[first:last])
        with pytest.raises(IntegrityError, match=f"{len(payload) - 1} of the {len(payload)} bytes"):
            staging.commit()
        assert spool.files == ()
        staging.write(gap, payload[gap : gap + 1])
        assert staging.commit().path.read_bytes().endswith(payload)


def test_the_note_is_there_at_once_and_after_opening_again(spool):
    staging = spool.receive("c1/3 ☂", LAYOUT, NOTE)
    in_pieces(staging, payload_of(LAYOUT))
    file = staging.commit()
    assert file.note == NOTE
    again = Spool(spool.directory, spool.max_bytes)
    assert again.files == spool.files == (file,)
    assert file.path.stat().st_size == file.n_bytes == again.used_bytes
    assert hash(file) == hash(again.files[0])


def test_a_long_note_leaves_the_values_aligned(spool):
    note = {"envelope": "ab" * 5000}
    staging = spool.receive("c1", LAYOUT, note)
    in_pieces(staging, payload_of(LAYOUT))
    file = staging.commit()
    assert file.note == note
    assert file.data_start % 64 == 0
    assert file.open(LAYOUT).values.tobytes() == payload_of(LAYOUT)[: 4 * LAYOUT.n_values]


def test_a_file_from_before_there_were_notes_is_read(spool):
    path = spool.stage("c1", update_of(LAYOUT, payload_of(LAYOUT))).path
    content = path.read_bytes()
    without = content.replace(b', "note": {}}', b"}" + 12 * b" ")
    assert without != content
    assert len(without) == len(content)
    path.write_bytes(without)
    (file,) = Spool(spool.directory, spool.max_bytes).files
    assert (file.update_id, file.note) == ("c1", {})


def test_a_note_that_json_cannot_hold_takes_no_room(spool):
    with pytest.raises(TypeError):
        spool.receive("c1", LAYOUT, {"envelope": b"raw"})
    assert suffixes(spool) == []
    assert spool.fits(layout_of(4000))


def test_room_is_taken_when_receiving_starts_and_given_back(spool):
    stagings = []
    while len(stagings) < 9 and spool.fits(LAYOUT):
        stagings.append(spool.receive(f"c{len(stagings)}", LAYOUT))
    assert len(stagings) == 4
    assert sum(path.stat().st_size for path in spool.directory.iterdir()) <= spool.max_bytes
    with pytest.raises(StoreError, match="bound of 20000"):
        spool.receive("more", LAYOUT)
    with pytest.raises(StoreError, match="bound of 20000"):
        spool.stage("more", update_of(LAYOUT, payload_of(LAYOUT)))
    stagings.pop().abandon()
    assert spool.fits(LAYOUT)
    in_pieces(stagings[0], payload_of(LAYOUT))
    stagings[0].commit()
    stagings.append(spool.receive("more", LAYOUT))
    assert not spool.fits(LAYOUT)
    spool.delete("c0")
    assert spool.fits(LAYOUT)
    for staging in stagings:
        staging.abandon()
    assert (suffixes(spool), spool.used_bytes) == ([], 0)


def test_fits_is_exact_about_the_name_and_the_note(tmp_path):
    staging = Spool(tmp_path / "any", NEVER).receive("c1", LAYOUT, NOTE)
    in_pieces(staging, payload_of(LAYOUT))
    size = staging.commit().n_bytes
    exact = Spool(tmp_path / "exact", size + 1)
    assert exact.fits(LAYOUT, update_id="c1", note=NOTE)
    exact.receive("c1", LAYOUT, NOTE).abandon()
    short = Spool(tmp_path / "short", size - 1)
    with pytest.raises(StoreError):
        short.receive("c1", LAYOUT, NOTE)


def test_waiting_for_what_can_never_fit_is_refused(spool):
    with pytest.raises(StoreError, match="over the bound"):
        spool.fits(layout_of(5000))


def test_what_is_abandoned_leaves_nothing(spool):
    staging = spool.receive("c1", LAYOUT)
    in_pieces(staging, payload_of(LAYOUT))
    staging.abandon()
    staging.abandon()
    assert (suffixes(spool), spool.files) == ([], ())
    for late in (lambda: staging.write(0, b"late"), staging.commit):
        with pytest.raises(StoreError, match="has ended"):
            late()


def test_abandoning_after_the_commit_does_nothing(spool):
    staging = spool.receive("c1", LAYOUT)
    in_pieces(staging, payload_of(LAYOUT))
    file = staging.commit()
    with pytest.raises(StoreError, match="has ended"):
        staging.write(0, b"late")
    staging.abandon()
    assert spool.files == (file,)
    assert file.path.read_bytes().endswith(payload_of(LAYOUT))
    others = [spool.receive(f"c{number}", LAYOUT) for number in (2, 3, 4)]
    assert not spool.fits(LAYOUT)  # its room was not given back
    for other in others:
        other.abandon()


@pytest.mark.parametrize(("start", "size"), [(-1, 1), (PAYLOAD_BYTES, 1), (PAYLOAD_BYTES - 3, 4)])
def test_a_piece_outside_the_payload_is_refused(spool, start, size):
    staging = spool.receive("c1", LAYOUT)
    with pytest.raises(IntegrityError, match=f"{PAYLOAD_BYTES} bytes"):
        staging.write(start, bytes(size))
    staging.write(PAYLOAD_BYTES, b"")
    staging.abandon()


def test_the_same_update_may_come_twice_at_once(spool):
    first, second = (spool.receive("c1", LAYOUT) for _ in range(2))
    in_pieces(first, payload_of(LAYOUT, 1))
    in_pieces(second, payload_of(LAYOUT, 2))
    second.abandon()
    kept = first.commit()
    assert spool.files == (kept,)
    third = spool.receive("c1", LAYOUT)
    in_pieces(third, payload_of(LAYOUT, 3))
    assert kept.path.read_bytes().endswith(payload_of(LAYOUT, 1))
    third.commit()
    assert kept.path.read_bytes().endswith(payload_of(LAYOUT, 3))
    assert (suffixes(spool), spool.used_bytes) == ([".update"], kept.n_bytes)


def test_a_full_spool_takes_another_version_of_what_it_holds(spool):
    payloads = [payload_of(LAYOUT, seed) for seed in range(5)]
    for number, payload in enumerate(payloads[:4]):
        spool.stage(f"c{number}", update_of(LAYOUT, payload))
    assert not spool.fits(LAYOUT)
    assert spool.fits(LAYOUT, update_id="c2")
    again = spool.stage("c2", update_of(LAYOUT, payloads[4]))
    assert again.path.read_bytes().endswith(payloads[4])
    assert len(spool.files) == 4


def test_it_counts_only_once_it_and_its_name_are_synced(spool, monkeypatch):
    seen, sync = [], os.fsync

    def watched(handle):
        seen.append((suffixes(spool), spool.files))
        sync(handle)

    monkeypatch.setattr(os, "fsync", watched)
    staging = spool.receive("c1", LAYOUT)
    in_pieces(staging, payload_of(LAYOUT))
    assert seen == []
    file = staging.commit()
    assert seen == [([".partial"], ()), ([".update"], ())]
    seen.clear()
    spool.stage("c1", update_of(LAYOUT, payload_of(LAYOUT)))
    assert seen == [([".partial", ".update"], (file,)), ([".update"], ())]


def test_pieces_are_written_while_those_before_go_to_the_disk(spool, monkeypatch):
    begun, written, sync = threading.Event(), threading.Event(), staging_module._sync_data

    def slow(handle):
        begun.set()
        assert written.wait(10), "the next piece waits for the disk"
        sync(handle)

    monkeypatch.setattr(staging_module, "_sync_data", slow)
    staging, payload = spool.receive("c1", LAYOUT), payload_of(LAYOUT)
    staging.write(0, payload[:300])
    with ThreadPoolExecutor(1) as beside:
        ahead = beside.submit(staging.sync)
        assert begun.wait(10)
        staging.write(300, payload[300:])
        written.set()
        ahead.result()
    assert staging.unsynced_bytes == len(payload) - 300
    staging.sync()
    assert staging.unsynced_bytes == 0
    assert staging.commit().path.read_bytes().endswith(payload)
    staging.sync()  # late, which does nothing


def test_whoever_writes_to_what_nobody_wants_any_more_does_not_wait_for_the_disk(
    spool, monkeypatch
):
    begun, told = threading.Event(), threading.Event()

    def slow(_handle):
        begun.set()
        assert told.wait(10), "a writer waits for the disk"

    monkeypatch.setattr(staging_module, "_sync_data", slow)
    staging = spool.receive("c1", LAYOUT)
    staging.write(0, b"1234")
    with ThreadPoolExecutor(2) as beside:
        ahead = beside.submit(staging.sync)
        assert begun.wait(10)
        gone = beside.submit(staging.abandon)
        while not staging._over:
            pass
        with pytest.raises(StoreError, match="has ended"):
            staging.write(0, b"1234")
        assert not gone.done()
        told.set()
        ahead.result()
        gone.result()
    assert (suffixes(spool), spool.used_bytes) == ([], 0)


def test_what_the_disk_says_ahead_is_not_forgotten_until_the_end(spool, monkeypatch):
    """An error is told to the first who waits for the disk, and to nobody after that."""

    def fails(_handle):
        raise OSError(errno.EIO, "Input/output error")

    staging = spool.receive("c1", LAYOUT)
    in_pieces(staging, payload_of(LAYOUT))
    with monkeypatch.context() as patch:
        patch.setattr(staging_module, "_sync_data", fails)
        staging.sync()
    staging.sync()  # it goes well this time
    with pytest.raises(OSError, match="Input/output"):
        staging.commit()
    assert (suffixes(spool), spool.files, spool.used_bytes) == ([], (), 0)


def full(*_):
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("place", ["posix_fallocate", "pwrite"])
def test_a_full_disk_is_noticed_when_receiving_starts(spool, monkeypatch, place):
    with monkeypatch.context() as patch:
        patch.setattr(os, place, full)
        with pytest.raises(StorageFullError):
            spool.receive("c1", LAYOUT)
    assert suffixes(spool) == []
    assert spool.fits(layout_of(4000))


def test_staging_whole_on_a_disk_that_fills_up_half_way_leaves_nothing(spool, monkeypatch):
    write, update = os.pwrite, update_of(LAYOUT, payload_of(LAYOUT))
    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", lambda *call: full() if call[2] else write(*call))
        with pytest.raises(StorageFullError):
            spool.stage("c1", update)
    assert suffixes(spool) == []
    assert spool.fits(layout_of(4000))


def test_too_many_open_files_take_no_room(spool, monkeypatch):
    def refused(*_, **__):
        raise OSError(errno.EMFILE, "Too many open files")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", refused)
        with pytest.raises(OSError, match="Too many"):
            spool.receive("c1", LAYOUT)
    assert spool.fits(layout_of(4000))


def test_a_piece_that_found_no_space_may_come_again(spool, monkeypatch):
    staging = spool.receive("c1", LAYOUT)
    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", full)
        with pytest.raises(StorageFullError):
            staging.write(0, b"1234")
    with pytest.raises(IntegrityError, match="0 of"):
        staging.commit()
    in_pieces(staging, payload_of(LAYOUT))
    assert staging.commit().path.read_bytes().endswith(payload_of(LAYOUT))


@pytest.mark.parametrize("turn", [0, 1])
def test_a_sync_that_fails_leaves_nothing_behind(spool, monkeypatch, turn):
    staging = spool.receive("c1", LAYOUT)
    in_pieces(staging, payload_of(LAYOUT))
    sync, left = os.fsync, [turn]

    def fails(handle):
        if not left.pop():
            raise OSError(errno.EIO, "Input/output error")
        left.append(0)
        sync(handle)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fails)
        with pytest.raises(OSError, match="Input/output"):
            staging.commit()
    assert (suffixes(spool), spool.files, spool.used_bytes) == ([], (), 0)
    assert spool.fits(layout_of(4000))
    with pytest.raises(StoreError, match="has ended"):
        staging.commit()


@pytest.mark.parametrize("lacking", ["disk", "system"])
def test_a_disk_that_cannot_take_room_ahead_is_written_all_the_same(spool, monkeypatch, lacking):
    def refused(*_):
        raise OSError(errno.EOPNOTSUPP, "Operation not supported")

    if lacking == "disk":
        monkeypatch.setattr(os, "posix_fallocate", refused)
    else:
        monkeypatch.delattr(os, "posix_fallocate")
    staging = spool.receive("c1", LAYOUT)
    in_pieces(staging, payload_of(LAYOUT))
    assert staging.commit().path.read_bytes().endswith(payload_of(LAYOUT))


def test_a_system_that_writes_less_than_asked_loses_nothing(spool, monkeypatch):
    write = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda handle, data, at: write(handle, data[:100], at))
    staging = spool.receive("c1", LAYOUT, NOTE)
    staging.write(0, payload_of(LAYOUT))
    assert staging.commit().path.read_bytes().endswith(payload_of(LAYOUT))
    assert Spool(spool.directory, spool.max_bytes).files[0].note == NOTE


def test_many_threads_receive_side_by_side(tmp_path, no_leaks):
    spool, layout = Spool(tmp_path, NEVER), layout_of(20_000)
    payloads = {f"c{number}": payload_of(layout, number) for number in range(12)}

    def receive(update_id):
        staging = spool.receive(update_id, layout, {"id": update_id})
        in_pieces(staging, payloads[update_id], 4096)
        if update_id == "c7":
            staging.abandon()
        else:
            staging.commit()

    with ThreadPoolExecutor(8) as hands:
        list(hands.map(receive, payloads))
    assert {file.update_id for file in spool.files} == payloads.keys() - {"c7"}
    for file in spool.files:
        assert file.note == {"id": file.update_id}
        assert file.path.read_bytes().endswith(payloads[file.update_id])
    assert spool.used_bytes == sum(path.stat().st_size for path in tmp_path.iterdir())


def test_pieces_of_one_update_may_come_from_many_threads(tmp_path):
    layout = layout_of(50_000)
    payload = payload_of(layout)
    staging = Spool(tmp_path, NEVER).receive("c1", layout)
    starts = list(range(0, len(payload), 1000))
    random.Random(1).shuffle(starts)
    with ThreadPoolExecutor(8) as hands:
        list(hands.map(lambda start: staging.write(start, payload[start : start + 1000]), starts))
    assert staging.commit().path.read_bytes().endswith(payload)


def test_a_writer_that_is_overtaken_by_the_end_writes_into_no_other_file(tmp_path):
    spool, layout = Spool(tmp_path, NEVER), layout_of(20_000)
    untouched = payload_of(layout)
    for _ in range(20):
        staging = spool.receive("c1", layout)

        def write(staging=staging):
            with contextlib.suppress(StoreError):
                while True:
                    staging.write(0, b"\xaa" * 5000)

        writer = threading.Thread(target=write)
        writer.start()
        staging.abandon()
        other = spool.receive("c2", layout)  # gets the number of the closed file
        in_pieces(other, untouched, 20_000)
        writer.join()
        assert other.commit().path.read_bytes().endswith(untouched)


RECEIVE = """
import sys, time
from pathlib import Path
from flnb.tensors import Layout, Spool
layout = Layout.of([("w", (1000,), "float32", "parameter"), ("n", (1,), "int64", "buffer")])
spool = Spool(Path(sys.argv[1]), 10**9)
for update_id, part in (("whole", 1.0), ("half", 0.5), ("unsynced", 1.0)):
    staging = spool.receive(update_id, layout, {"id": update_id})
    staging.write(0, bytes(int(part * staging.n_bytes)))
    if update_id == "whole":
        staging.commit()
print("written", flush=True)
time.sleep(600)
"""


def test_a_killed_process_leaves_whole_updates_and_no_others(tmp_path):
    command = [sys.executable, "-c", RECEIVE, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"written\n"
        process.send_signal(signal.SIGKILL)
    assert len(list(tmp_path.iterdir())) == 3
    spool = Spool(tmp_path, NEVER)
    (file,) = spool.files
    assert isinstance(file, SpoolFile)
    assert (file.update_id, file.note) == ("whole", {"id": "whole"})
    assert list(tmp_path.iterdir()) == [file.path]
