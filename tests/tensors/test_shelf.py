"""Vectors in files without a name: seen by other processes, used again only when nobody sees them."""

import errno
import os
from pathlib import Path

import numpy as np
import pytest

from flnb.tensors import Layout, Model, Shelf, aligned, beside, lent

N = 2_000_000
LAYOUT = Layout.of([("weight", (N,), "float32", "parameter")])


def test_a_vector_is_a_window_on_a_file_without_a_name(tmp_path: Path) -> None:
    vector = Shelf(tmp_path).vector(N, np.float32)
    vector[:] = np.arange(N)
    place = lent(vector[N // 2 :])
    assert place is not None
    assert os.pread(place.fd, 4, place.offset) == np.float32(N // 2).tobytes()
    assert (os.fstat(place.fd).st_nlink, list(tmp_path.iterdir())) == (0, [])
    assert vector.ctypes.data % 64 == 0


def test_a_file_is_used_again_when_the_last_window_on_it_is_gone(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    first = shelf.vector(N, np.float32)
    where = first.ctypes.data
    raw = first[10:20][2:].view(np.int32).data
    del first
    second = shelf.vector(N, np.float32)
    assert second.ctypes.data != where, "a memoryview of it is left"
    del raw
    assert shelf.vector(N, np.float32).ctypes.data == where


def test_files_go_with_the_last_window_and_with_the_shelf(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    shelf = Shelf(tmp_path)
    vectors = [shelf.vector(N, np.float32) for _ in range(4)]
    assert len(os.listdir("/proc/self/fd")) > before
    vectors.clear()
    shelf.clear()
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_version_is_put_on_the_shelf_once_and_the_next_one_lies_beside_it(tmp_path: Path) -> None:
    values = aligned(N, np.float32)
    values[:] = np.arange(N)
    model = Model(LAYOUT, values, np.zeros(0, np.int64))
    shelf = Shelf(tmp_path)
    shelved = shelf.put(model)
    assert shelved.sha256() == model.sha256()
    assert shelf.put(shelved) is shelved
    assert lent(beside(shelved.values)) is not None
    assert lent(beside(values)) is None


def test_a_version_that_is_read_back_is_in_memory_while_there_is_plenty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf = Shelf(tmp_path)
    monkeypatch.setattr("flnb.tensors.shelf.available_bytes", lambda: 3 * 4 * N)
    values = shelf.vector_to_read(N, np.float32)
    model = Model(LAYOUT, values, np.zeros(0, np.int64))
    assert lent(values) is None
    assert shelf.put(model) is model, "nothing is copied"
    assert lent(beside(model.values)) is not None, "the next one is on the shelf"
    monkeypatch.setattr("flnb.tensors.shelf.available_bytes", lambda: 3 * 4 * N - 1)
    assert lent(shelf.vector_to_read(N, np.float32)) is not None


def test_what_is_small_stays_in_memory(tmp_path: Path) -> None:
    assert lent(Shelf(tmp_path).vector(1000, np.float32)) is None


def test_memory_stands_in_for_a_disk_that_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    vector = Shelf(tmp_path).vector(N, np.float32)
    vector[:] = 1.0
    assert (lent(vector), vector.sum()) == (None, N)
