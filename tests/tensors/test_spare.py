"""Large files that are written over: never one that somebody still sees."""

import gc

import numpy as np
import pytest

from flnb.tensors import SpareFiles, mapped, spare

N_BYTES = 4 * 1024 * 1024


def large(path, value):
    path.write_bytes(bytes([value]) * N_BYTES)
    return path


def test_a_file_that_is_not_needed_is_given_out_again_under_another_name(tmp_path):
    spares = SpareFiles(tmp_path)
    spares.put(large(tmp_path / "a", 1))
    assert not (tmp_path / "a").exists()
    assert spares.take(N_BYTES + 100, tmp_path / "b")
    assert (tmp_path / "b").stat().st_size == N_BYTES + 100
    assert not spares.take(N_BYTES, tmp_path / "c")


def test_its_end_is_left_to_whoever_writes_a_new_one(tmp_path):
    spares = SpareFiles(tmp_path)
    spares.put(large(tmp_path / "a", 1))
    assert spares.take(N_BYTES + 100, tmp_path / "b", cut=False)
    assert (tmp_path / "b").stat().st_size == N_BYTES


def test_a_file_that_somebody_sees_is_deleted_and_seen_on(tmp_path):
    spares, window = SpareFiles(tmp_path), mapped(large(tmp_path / "a", 1))[7:]
    spares.put(tmp_path / "a")
    assert not spares.take(N_BYTES, tmp_path / "b")
    large(tmp_path / "b", 2)
    assert set(window) == {1}
    del window
    gc.collect()
    seen = mapped(tmp_path / "b")
    assert np.all(seen == 2)


def test_a_file_that_nobody_sees_any_more_is_used_again(tmp_path):
    spares, window = SpareFiles(tmp_path), mapped(large(tmp_path / "a", 1)).view(np.float32)[1:]
    del window
    spares.put(tmp_path / "a")
    assert spares.take(N_BYTES, tmp_path / "b")


def test_few_are_kept_and_small_ones_never(tmp_path):
    spares = SpareFiles(tmp_path, most=1)
    (tmp_path / "small").write_bytes(b"x")
    for path in (tmp_path / "small", large(tmp_path / "a", 1), large(tmp_path / "b", 2)):
        spares.put(path)
    assert len(list(tmp_path.iterdir())) == 1
    assert not spares.take(2 * N_BYTES, tmp_path / "c")
    spares.drop()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("most_bytes", "kept"), [(2.5 * N_BYTES, 2), (1, 1)])
def test_of_large_ones_fewer_are_kept_but_one_always(tmp_path, monkeypatch, most_bytes, kept):
    monkeypatch.setattr(spare, "_MOST_BYTES", most_bytes)
    spares = SpareFiles(tmp_path, most=4)
    for name in "abc":
        spares.put(large(tmp_path / name, 1))
    assert len(list(tmp_path.iterdir())) == kept


def test_what_an_earlier_process_left_is_deleted(tmp_path):
    SpareFiles(tmp_path).put(large(tmp_path / "a", 1))
    SpareFiles(tmp_path)
    assert list(tmp_path.iterdir()) == []
