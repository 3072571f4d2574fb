"""Versions read back: into memory of the caller's, each chunk proven."""

import asyncio
import threading
from types import SimpleNamespace

import numpy as np
import pytest
from zarr.buffer import default_buffer_prototype

from flnb.core.errors import DamagedError
from flnb.store import History, chunks, filling
from flnb.store.chunks import CHUNK_BYTES
from flnb.store.filling import read_arrays

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
    return next(one for one in (folder / "chunks").iterdir() if one.read_bytes() == expected)


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


class Slow:
    """A store that holds zeros, and counts how many chunks are on their way."""

    def __init__(self, chunk_bytes):
        self.chunk_bytes, self.now, self.most = chunk_bytes, 0, 0

    async def get(self, _key, prototype):
        self.now += 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(0.005)
        self.now -= 1
        return prototype.buffer.from_bytes(bytes(self.chunk_bytes))

    async def set(self, key, _buffer):
        await self.get(key, default_buffer_prototype())


@pytest.mark.parametrize(("chunk_bytes", "at_once"), [(CHUNK_BYTES, 16), (4 * CHUNK_BYTES, 4)])
def test_so_many_bytes_are_on_their_way_however_large_a_chunk_is(chunk_bytes, at_once, monkeypatch):
    values = np.zeros(20 * chunk_bytes // 4, np.float32)
    monkeypatch.setattr(chunks, "_MANY", values.nbytes // chunk_bytes)
    reads, writes, told = Slow(chunk_bytes), Slow(chunk_bytes), []
    monkeypatch.setattr(filling, "keep_freed_memory", told.append)
    lies = SimpleNamespace(size=values.size, dtype=values.dtype, chunks=(chunk_bytes // 4,))
    read_arrays(reads, {"parameters": lies}, {})
    chunks.write_chunks(writes, {"parameters": values}, {})
    assert reads.most == at_once
    assert writes.most <= at_once  # they wait for their sums
    assert told == ([] if chunk_bytes == CHUNK_BYTES else [16 * CHUNK_BYTES])
