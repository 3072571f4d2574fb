"""Versions read back: into memory of the caller's, looked at in order whatever comes first."""

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


def test_pieces_are_shown_in_order_beside_the_reading(history, snapshot):
    pieces, threads = [], set()

    def look(piece):
        pieces.append(piece.copy())
        threads.add(threading.current_thread().name.rpartition("_")[0])

    history.read(snapshot, ["parameters", "integers"], look)
    values, integers = np.concatenate(pieces[:-1]), pieces[-1]
    assert values.tobytes() == np.arange(N, dtype=np.float32).tobytes()
    assert (integers.tolist(), threads) == ([0, 1, 2], {"flnb-observer"})


def test_a_version_is_read_into_the_memory_that_it_is_given(history, snapshot):
    made = {}

    def vector(n, dtype):
        made[n] = np.full(n, 9, dtype)
        return made[n]

    values = history.read(snapshot, ["parameters"], vector=vector)["parameters"]
    assert values is made[N]
    assert values.tobytes() == np.arange(N, dtype=np.float32).tobytes()


def test_what_goes_wrong_with_whoever_looks_is_told(history, snapshot):
    def look(piece):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        history.read(snapshot, ["parameters"], look)


def test_nothing_is_shown_from_a_chunk_on_that_is_missing(tmp_path):
    history, shown = History(tmp_path / "history"), []
    snapshot = history.write("r", {"parameters": np.arange(N, dtype=np.float32)}, {})
    tenth = np.arange(10 * CHUNK, 11 * CHUNK, dtype=np.float32).tobytes()
    chunks = (tmp_path / "history" / "chunks").iterdir()
    next(one for one in chunks if one.read_bytes() == tenth).unlink()
    with pytest.raises(DamagedError, match="chunk 10 of parameters"):
        history.read(snapshot, observe=shown.append)
    values = np.concatenate([np.zeros(0, np.float32), *shown])
    assert values.size <= 10 * CHUNK
    assert values.tobytes() == np.arange(values.size, dtype=np.float32).tobytes()
