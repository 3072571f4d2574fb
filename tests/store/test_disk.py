"""A full disk: one error with the free bytes, nothing torn, and all goes on with more room."""

import errno
from pathlib import Path

import numpy as np
import pytest

from flnb.core.errors import StorageFullError
from flnb.store import LabStore
from flnb.store.disk import free_bytes, room_at
from flnb.testing.stores import same_bits, sample_closing, sample_groups, sample_run


def fill(folder: Path, *, leave: int) -> Path:
    ballast = folder / f"ballast-{leave}"
    ballast.write_bytes(bytes(max(0, free_bytes(folder) - leave)))
    return ballast


@pytest.fixture
def store(small_disk, fork_server):
    store = LabStore.open(small_disk / "lab", fork_server=fork_server)
    with store.lease():
        store.state.create_run(sample_run())
        yield store
        store.close()


def test_a_round_on_a_full_disk_is_not_closed_and_can_be_closed_later(store, small_disk):
    store.close_round(sample_closing(1))
    ballast = fill(small_disk, leave=20_000)
    too_large = sample_closing(2, clients=5000)
    with pytest.raises(StorageFullError) as full:
        store.close_round(too_large)
    assert full.value.free_bytes < 100_000
    ballast.unlink()
    assert [closing.round for closing in store.state.closings()] == [1]
    assert store.state.problem() == ""
    store.close_round(too_large)
    store.catch_up()
    assert len(store.metrics.query("FROM updates")) == 5003


def test_a_projection_on_a_full_disk_catches_up_later(store, small_disk):
    store.metrics.catch_up()
    ballast = fill(small_disk, leave=3_000_000)
    closings = [store.state.close_round(sample_closing(n, clients=2000)) for n in range(1, 11)]
    last_bytes = fill(small_disk, leave=0)
    with pytest.raises(StorageFullError):
        store.metrics.apply(closings)
    ballast.unlink()
    last_bytes.unlink()
    store.catch_up()
    assert len(store.metrics.query("FROM rounds")) == 10
    (row,) = store.metrics.query("SELECT count(*) AS n FROM updates")
    assert row["n"] == 20_000


def test_a_commit_on_a_full_disk_leaves_the_versions_before(store, small_disk):
    named = store.writer.submit("run001", sample_groups(1), {}).wait()
    ballast = fill(small_disk, leave=300_000)
    large = {"parameters": np.ones(1_000_000, np.float32)}
    with pytest.raises(StorageFullError):
        store.writer.submit("run001", large, {}).wait()
    assert same_bits(store.history.read(named), sample_groups(1))
    ballast.unlink()
    after = store.writer.submit("run001", sample_groups(2), {}).wait()
    assert same_bits(store.history.read(after), sample_groups(2))


def test_a_lab_cannot_be_made_on_a_full_disk(small_disk):
    ballast = fill(small_disk, leave=0)
    with pytest.raises(StorageFullError):
        LabStore.open(small_disk / "lab")
    ballast.unlink()
    assert LabStore.open(small_disk / "lab").state.runs() == []


def test_other_errors_pass_unchanged(tmp_path):
    with pytest.raises(PermissionError), room_at(tmp_path):
        raise PermissionError(errno.EACCES, "not yours")
    with pytest.raises(StorageFullError, match="MB free"), room_at(tmp_path / "not" / "there"):
        raise OSError(errno.ENOSPC, "No space left on device")
