"""The writer process is killed in the middle of commits: nothing is ever torn, and no closed round is lost."""

import os
import signal
import time

import numpy as np
import pytest

from flnb.store import History, HistoryWriter, StateStore
from flnb.testing.stores import sample_closing, sample_run

VALUES = 1_500_000
"""Six chunks, all of them new in every version: most of a commit is writing them."""


def version(number):
    return {"parameters": np.random.default_rng(number).random(VALUES, np.float32)}


@pytest.fixture
def kept(tmp_path, fork_server):
    """A state with a run, the folder of its history, and a writer."""
    state = StateStore(tmp_path / "state.db")
    state.create_run(sample_run())
    writer = HistoryWriter(tmp_path / "history", fork_server=fork_server)
    yield state, tmp_path / "history", writer
    writer.close()
    state.close()


def is_the_last_closed_round(state, folder, number):
    """Whether a process that knows nothing finds the last closed round, every bit of it."""
    snapshot = state.head("run001").snapshot
    found = History(folder).read(snapshot)
    return found["parameters"].tobytes() == version(number)["parameters"].tobytes()


def chunks(folder):
    return len(list((folder / "chunks").iterdir()))


def close(state, number, snapshot):
    state.close_round(sample_closing(number, clients=0, snapshot=snapshot))


def check_kills(kept, times):
    """Kill when so many of a commit's chunks are there, 0 to 6; the commit is done again each time."""
    state, folder, writer = kept
    close(state, 1, writer.submit("run001", version(1), {}).wait())
    for number in range(2, times + 2):
        enough = chunks(folder) + number % 7
        ticket = writer.submit("run001", version(number), {})
        while chunks(folder) < enough:
            time.sleep(0.0005)
        os.kill(writer.pid, signal.SIGKILL)
        assert is_the_last_closed_round(state, folder, number - 1)
        close(state, number, ticket.wait())
        assert is_the_last_closed_round(state, folder, number)
    return chunks(folder) - 6 * (times + 1)


def test_killed_five_times_in_the_middle_of_a_commit(kept):
    check_kills(kept, 5)


@pytest.mark.long
@pytest.mark.timeout(600)
def test_killed_fifty_times_in_the_middle_of_a_commit(kept):
    orphans = check_kills(kept, 50)
    assert orphans > 0, "no kill met a commit that was being written"
