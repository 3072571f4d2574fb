"""History: exact bits, unchanged chunks written once, branches that can be reset, no noise."""

import errno
import subprocess
import sys
import weakref
import zlib
from types import SimpleNamespace

import numpy as np
import pytest
from blake3 import blake3
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from flnb.core.errors import DamagedError, NotFoundError, StorageFullError, StoreError
from flnb.store import History
from flnb.store.chunks import CHUNK_BYTES, is_sum_of
from flnb.store.disk import write_out
from flnb.testing.stores import same_bits, sample_groups

CHUNK = CHUNK_BYTES // 4


@pytest.fixture
def history(tmp_path):
    return History(tmp_path / "history")


def ramp(n):
    values = np.arange(n, dtype=np.float32)
    values.flags.writeable = False
    return values


@pytest.mark.parametrize("n", [1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK + 7])
def test_any_length_is_read_back_bit_for_bit(history, n):
    snapshot = history.write("r", {"parameters": ramp(n)}, {})
    values = history.read(snapshot)["parameters"]
    assert values.tobytes() == ramp(n).tobytes()
    assert values.ctypes.data % 64 == 0


def test_only_changed_chunks_are_written(history):
    values = ramp(4 * CHUNK).copy()
    history.write("r", {"parameters": values}, {})
    before = history.size_bytes
    values[CHUNK] += 1
    history.write("r", {"parameters": values}, {})
    assert CHUNK_BYTES <= history.size_bytes - before < CHUNK_BYTES + 100_000


@pytest.mark.parametrize("reopened", [False, True])
def test_a_large_version_has_larger_chunks_also_after_commits_of_before_with_small_ones(
    history, tmp_path, monkeypatch, reopened
):
    values = ramp(10 * CHUNK + 7).copy()
    first = history.write("r", {"parameters": values}, {})
    before = values.copy()
    monkeypatch.setattr("flnb.store.chunks._MANY", 4)
    again = History(tmp_path / "history")
    sizes = []
    for place in (0, CHUNK, 9 * CHUNK):
        values[place] += 1
        there = again.size_bytes
        last = again.write("r", {"parameters": values}, {})
        sizes.append(again.size_bytes - there)
        if reopened:
            again = History(tmp_path / "history")
    # Chunks of 4 MiB: all three anew, then one. Who has just opened a history writes all.
    expected = [3, 3, 3] if reopened else [3, 1, 1]
    assert [round(size / (4 * CHUNK_BYTES)) for size in sizes] == expected
    assert again.read(last)["parameters"].tobytes() == values.tobytes()
    assert again.read(first)["parameters"].tobytes() == before.tobytes()


def test_nothing_of_a_version_is_held_once_it_is_committed(history):
    values = ramp(2 * CHUNK)
    gone = weakref.ref(values)
    history.write("r", {"parameters": values}, {})
    del values
    assert gone() is None


def test_checksums_of_today_and_of_before_tell_a_chunk_from_another():
    values = ramp(CHUNK).copy()
    sums = [blake3(values.tobytes()).hexdigest(16), zlib.crc32(values.tobytes())]
    assert all(is_sum_of(one, values) for one in sums)
    values[-1] += 1
    assert not any(is_sum_of(one, values) for one in sums)


def test_a_version_is_read_by_the_row_that_tells_its_checksums(history):
    first = history.write("r", sample_groups(0), {})
    sums = history.sums_digest
    second = history.write("r", sample_groups(1), {})
    assert same_bits(history.read(first, sums=sums), sample_groups(0))
    with pytest.raises(DamagedError, match="its checksums are not those that were committed"):
        history.read(second, sums=sums)


def test_a_change_that_only_bits_show_is_kept(history):
    zeros, nan = np.zeros(10, np.float32), np.full(10, np.nan, np.float32)
    versions = [zeros, -zeros, nan, (nan.view(np.uint32) + 1).view(np.float32)]
    same = np.zeros(1, np.uint8)
    snapshots = [history.write("r", {"parameters": v, "same": same}, {}) for v in versions]
    for snapshot, values in zip(snapshots, versions, strict=True):
        assert history.read(snapshot)["parameters"].tobytes() == values.tobytes()


def test_a_version_that_equals_the_one_before_is_a_commit_too(history):
    first = history.write("r", {"parameters": ramp(10)}, {"round": 1})
    second = history.write("r", {"parameters": ramp(10)}, {"round": 2})
    assert first != second
    assert history.meta(second) == {"round": 2}
    assert same_bits(history.read(second), history.read(first))


def test_an_array_that_changes_in_place_is_seen_to_have_changed(history):
    values, same = np.zeros(10, np.float32), np.zeros(1, np.uint8)
    first = history.write("r", {"parameters": values, "same": same}, {})
    values[3] = 1
    second = history.write("r", {"parameters": values, "same": same}, {})
    assert history.read(first)["parameters"][3] == 0
    assert history.read(second)["parameters"][3] == 1


def test_groups_may_come_grow_shrink_and_go(history):
    a, b = np.arange(5, dtype=np.uint8), np.arange(3, dtype=np.int64)
    versions = [{"a": a}, {"a": a, "b": b}, {"a": a[:2], "b": b}, {"b": b.astype(np.float32)}]
    snapshots = [history.write("r", version, {}) for version in versions]
    for snapshot, version in zip(snapshots, versions, strict=True):
        assert same_bits(history.read(snapshot), version)


def test_runs_do_not_mix(history):
    one = history.write("one", {"parameters": ramp(5)}, {})
    other = history.write("other", {"parameters": -ramp(5)}, {})
    again = history.write("one", {"parameters": ramp(5)}, {})
    assert same_bits(history.read(again), history.read(one))
    assert not same_bits(history.read(other), history.read(one))


def test_what_only_an_orphan_holds_is_written_again_after_a_reset(history):
    named = history.write("r", sample_groups(1), {})
    history.write("r", sample_groups(2), {})
    History(history.place).reset("r", named)
    after = history.write("r", sample_groups(2), {})
    assert same_bits(history.read(after), sample_groups(2))


def test_a_run_without_a_named_commit_starts_from_nothing(history):
    history.write("r", {"orphan": ramp(3)}, {})
    history.reset("r", None)
    snapshot = history.write("r", {"parameters": ramp(3)}, {})
    assert history.read(snapshot).keys() == {"parameters"}


def test_unknown_names_are_not_found(history):
    snapshot = history.write("r", {"parameters": ramp(3)}, {})
    with pytest.raises(NotFoundError, match="optimiser"):
        history.read(snapshot, ["optimiser"])
    for look in (history.read, history.meta, lambda name: history.reset("r", name)):
        with pytest.raises(NotFoundError):
            look("AAAAAAAAAAAAAAAAAAA0")


@pytest.mark.parametrize("part", ["chunks", "manifests", "snapshots"])
def test_what_cannot_be_read_now_is_not_called_damaged(history, part):
    snapshot = history.write("r", sample_groups(), {})
    history.close()
    for file in (history.place.folder / part).iterdir():
        file.rename(history.place.folder / f"{part}-{file.name}")
        file.symlink_to(file)  # a loop, which stands for files and rights that a process may lack
    with pytest.raises(StoreError, match="cannot be used: Too many levels") as unreadable:
        history.read(snapshot)
    assert not isinstance(unreadable.value, DamagedError)
    for file in (history.place.folder / part).iterdir():
        (history.place.folder / f"{part}-{file.name}").replace(file)
    history.close()
    assert same_bits(history.read(snapshot), sample_groups())


def test_an_empty_place_proves_of_no_commit_that_it_is_gone(history, tmp_path):
    snapshot = history.write("r", sample_groups(), {})
    with pytest.raises((NotFoundError, StoreError), match="no history"):
        History(tmp_path / "another").read(snapshot)


@pytest.mark.parametrize("wrong", [np.zeros((2, 2)), np.array(["a"]), np.zeros(0)])
def test_what_cannot_be_a_version_is_refused(history, wrong):
    with pytest.raises(ValueError, match=r"flat|value"):
        history.write("r", {"parameters": wrong}, {})


@settings(max_examples=15)
@given(st.lists(hnp.arrays(np.uint8, st.integers(1, 40)), min_size=1, max_size=4))
def test_every_version_stays_as_it_was_written(tmp_path_factory, versions):
    history = History(tmp_path_factory.mktemp("history"))
    snapshots = [history.write("r", {"state": version}, {}) for version in versions]
    for snapshot, version in zip(snapshots, versions, strict=True):
        assert history.read(snapshot)["state"].tobytes() == version.tobytes()


def test_nothing_is_said_on_the_standard_streams(tmp_path):
    write = (
        "import sys, numpy; from pathlib import Path; from flnb.store import History;"
        "History(Path(sys.argv[1])).write('r', {'a': numpy.ones(3)}, {})"
    )
    done = subprocess.run([sys.executable, "-c", write, str(tmp_path)], capture_output=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_a_commit_is_on_the_disk_before_anybody_can_name_it(history, monkeypatch):
    seen = []

    def written(where):
        tip = history._open().lookup_branch("r")
        seen.append((where, history._open().lookup_snapshot(tip).metadata["round"]))
        write_out(where)

    monkeypatch.setattr("flnb.store.history.write_out", written)
    for number in (1, 2):
        history.write("r", {"parameters": ramp(10 + number)}, {"round": number})
        assert seen[-1] == (history.place.folder, number)
    assert len(seen) == 2


def test_a_commit_that_the_disk_does_not_take_is_an_error_and_can_be_written_again(
    history, monkeypatch
):
    with monkeypatch.context() as broken:
        broken.setattr("flnb.store.disk._libc", SimpleNamespace(syncfs=lambda _: -1))
        broken.setattr("ctypes.get_errno", lambda: errno.EIO)
        with pytest.raises(StoreError, match="Input/output error"):
            history.write("r", {"parameters": ramp(10)}, {})
        broken.setattr("ctypes.get_errno", lambda: errno.ENOSPC)
        with pytest.raises(StorageFullError):
            history.write("r", {"parameters": ramp(11)}, {})
    snapshot = history.write("r", {"parameters": ramp(12)}, {})
    assert len(history.read(snapshot)["parameters"]) == 12
