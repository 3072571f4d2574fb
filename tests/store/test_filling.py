"""Versions read back: into memory of the caller's, each chunk proven."""

import threading

import numpy as np
import pytest

from flnb.core.errors import DamagedError
from flnb.store import History
from flnb.store.chunks import CHUNK_BYTES

CHUNK = CHUNK_BYTES // 4
N = 40 * CHUNK + 7


@pytest.fixture(scope="module")
def history(tmp_path_factory):
    return History(tmp_path_factory.mktemp("filling") / "history")


@pytest.fixture(scope="module")
def snapshot(history):
    groups = {"parameters": np.arange(N, dtype=np.float32), "integers": np.arange(3)}
    return history.write("r", groups, {})


def test_a_version_is_read_into_the_memory_that_it_is_given(history, snapshot):
    made = {}

    def vector(n, dtype):
        made[n] = np.full(n, 9, dtype)
        return made[n]

    values = history.read(snapshot, ["parameters"], vector=vector)["parameters"]
    assert values is made[N]
    assert values.tobytes() == np.arange(N, dtype=np.float32).tobytes()


def chunk_file(folder, index):
    expected = np.arange(index * CHUNK, (index + 1) * CHUNK, dtype=np.float32).tobytes()
    chunks = (folder / "chunks").iterdir()
    return next(one for one in chunks if one.read_bytes() == expected)


@pytest.fixture
def another(tmp_path):
    history = History(tmp_path / "history")
    return history, history.write("r", {"parameters": np.arange(N, dtype=np.float32)}, {})


def test_a_chunk_that_is_missing_is_named(another, tmp_path):
    history, snapshot = another
    chunk_file(tmp_path / "history", 10).unlink()
    with pytest.raises(DamagedError, match="chunk 10 of parameters"):
        history.read(snapshot)


def test_a_bit_that_has_changed_on_the_disk_is_found(another, tmp_path):
    history, snapshot = another
    file = chunk_file(tmp_path / "history", 33)
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    with pytest.raises(DamagedError, match="chunk 33 of parameters is not what was committed"):
        history.read(snapshot)


def test_nobody_reads_on_behind_the_back_of_an_error(another, tmp_path):
    history, snapshot = another
    chunk_file(tmp_path / "history", 0).unlink()
    with pytest.raises(DamagedError):
        history.read(snapshot)
    assert not [one for one in threading.enumerate() if one.name.startswith("flnb-placing")]
