"""Staged updates survive a crash whole, or not at all."""

import errno
import os

import numpy as np
import pytest

from flnb.core.errors import IntegrityError, NotFoundError, StorageFullError, StoreError
from flnb.tensors import CohortSum, Layout, SpareFiles, Spool, Update, aligned

LAYOUT = Layout.of([("w", (1000,), "float32", "parameter"), ("n", (), "int64", "buffer")])
FILE_BYTES = 8192


def update(value=1.0):
    values, integers = aligned(LAYOUT.n_values, np.float32), aligned(LAYOUT.n_integers, np.int64)
    values[:1000] = value * np.arange(1000)
    integers[0] = 7
    return Update(LAYOUT, values, integers)


@pytest.fixture
def spool(tmp_path):
    return Spool(tmp_path / "spool", 4 * FILE_BYTES)


def test_a_staged_update_reads_back_to_the_bit(spool):
    file = spool.stage("c1/round 3 ☂", update())
    again = file.open(LAYOUT)
    assert again.values.tobytes() == update().values.tobytes()
    assert again.integers[0] == 7
    assert file.path.stat().st_size == file.n_bytes == spool.used_bytes


def test_blocks_give_every_value_once(spool):
    seen = aligned(LAYOUT.n_values, np.float32)
    for span, block in spool.stage("c1", update()).blocks(LAYOUT, 300):
        seen[span] += block
    assert seen.tobytes() == update().values.tobytes()


def test_a_staged_update_folds_like_one_in_memory(spool):
    sums, expected = CohortSum(LAYOUT), CohortSum(LAYOUT)
    sums.fold(spool.stage("c1", update()).open(LAYOUT), 3)
    expected.fold(update(), 3)
    assert sums.mean().values.tobytes() == expected.mean().values.tobytes()


def test_what_was_complete_is_there_after_opening_again(spool):
    spool.stage("b", update(2.0))
    spool.stage("a", update())
    again = Spool(spool.directory, spool.max_bytes)
    assert again.files == spool.files
    assert [file.update_id for file in again.files] == ["a", "b"]
    assert again.files[1].open(LAYOUT).values[1] == 2.0


def test_what_was_torn_is_removed_on_opening(spool):
    whole = spool.stage("whole", update()).path.read_bytes()
    torn = {"1.partial": whole, "2.update": whole[:-1], "3.update": b"", "4.update": b"x" * 500}
    torn["5.update"] = whole[:8] + b"\xff" * 8 + whole[16:]
    for name, content in torn.items():
        (spool.directory / name).write_bytes(content)
    again = Spool(spool.directory, spool.max_bytes)
    assert [file.update_id for file in again.files] == ["whole"]
    assert len(list(spool.directory.iterdir())) == 1


def test_a_spool_refuses_to_grow_over_its_bound_and_takes_more_after_a_delete(spool):
    size = spool.stage("0", update()).n_bytes
    fits = spool.max_bytes // size
    for index in range(1, fits):
        spool.stage(str(index), update())
    with pytest.raises(StoreError, match=f"bound of {spool.max_bytes}"):
        spool.stage("more", update())
    assert len(list(spool.directory.iterdir())) == fits
    spool.delete("0")
    spool.stage("more", update())


def test_staging_a_name_again_replaces_it(spool):
    for value in range(10):
        spool.stage("c1", update(float(value)))
    assert [file.open(LAYOUT).values[1] for file in spool.files] == [9.0]
    assert spool.used_bytes == spool.files[0].n_bytes


def test_an_update_that_is_being_read_may_be_deleted(spool):
    again = spool.stage("c1", update()).open(LAYOUT)
    spool.delete("c1")
    assert again.values[999] == 999.0
    assert spool.files == ()
    with pytest.raises(NotFoundError):
        spool.delete("c1")


def test_an_update_of_another_layout_is_not_read(spool):
    other = Layout.of([("w", (1001,), "float32", "parameter"), ("n", (), "int64", "buffer")])
    with pytest.raises(IntegrityError, match="of layout"):
        spool.stage("c1", update()).open(other)


def test_a_full_disk_leaves_nothing_behind(spool, monkeypatch):
    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageFullError):
        spool.stage("c1", update())
    assert list(spool.directory.iterdir()) == []
    assert spool.used_bytes == 0


def test_an_update_counts_only_once_it_is_synced(spool, monkeypatch):
    names = []
    sync = os.fsync

    def watched(handle):
        names.append([path.suffix for path in spool.directory.iterdir()])
        sync(handle)

    monkeypatch.setattr(os, "fsync", watched)
    spool.stage("c1", update())
    assert names == [[".partial"], [".update"]]


def test_files_of_several_rounds_that_are_deleted_at_once_are_written_over(tmp_path):
    layout = Layout.of([("w", (1_100_000,), "float32", "parameter")])
    values, spool = aligned(layout.n_values, np.float32), Spool(tmp_path, 2**30)
    one = Update(layout, values, np.zeros(0, np.int64))
    for name in "abcd":
        spool.stage(name, one)
    for name in "abcd":
        spool.delete(name)
    assert len(list(tmp_path.glob("*.spare"))) == 4
    for name in "efgh":
        spool.stage(name, one)
    assert not list(tmp_path.glob("*.spare"))


def used_spool(folder):
    """One that has room for one update, and a spare file."""
    layout = Layout.of([("w", (2 * 1024 * 1024,), "float32", "parameter")])
    update = Update(layout, np.zeros(layout.n_values, np.float32), np.zeros(0, np.int64))
    spool = Spool(folder, 4 * layout.n_values + 4096)
    spool.stage("a", update)
    spool.delete("a")
    return spool, layout


def test_a_spare_file_that_somebody_tidied_away_is_not_missed(tmp_path):
    spool, layout = used_spool(tmp_path)
    next(tmp_path.glob("*.spare")).unlink()
    spool.receive("b", layout).abandon()
    assert spool.fits(layout)


def test_room_is_given_back_where_a_spare_file_cannot_be_had(tmp_path, monkeypatch):
    spool, layout = used_spool(tmp_path)

    def broken(*_):
        raise OSError(errno.EIO, "a disk that fails")

    monkeypatch.setattr(SpareFiles, "take", broken)
    with pytest.raises(OSError, match="a disk that fails"):
        spool.receive("b", layout)
    assert spool.fits(layout)
