"""The writer process: commits while others work, and what happens when it dies or hangs."""

import os
import signal
import time
from unittest.mock import Mock

import numpy as np
import pytest

from flnb.core.errors import StoreError, WorkerDiedError
from flnb.processes import SharedBlock
from flnb.store import History, HistoryWriter
from flnb.store.committing import CommitRequest, Span, aws_environment, serve
from flnb.store.place import HistoryPlace
from flnb.tensors import Shelf
from flnb.tensors.arrays import frozen
from flnb.testing.stores import same_bits, sample_groups


@pytest.fixture
def writer(tmp_path, fork_server):
    writer = HistoryWriter(tmp_path / "history", fork_server=fork_server)
    yield writer
    writer.close()


def test_the_arrays_may_change_as_soon_as_they_are_submitted(writer, tmp_path):
    groups = sample_groups()
    ticket = writer.submit("r", groups, {"round": 1})
    groups["parameters"][:] = 0
    snapshot = ticket.wait()
    assert same_bits(History(tmp_path / "history").read(snapshot), sample_groups())
    assert ticket.wait() == snapshot


def test_a_row_of_versions_with_shared_chunks_is_exact(writer, tmp_path):
    values, written = np.zeros(600_000, np.float32), []
    for step in range(5):
        values[300_000 * (step % 2)] += 1
        written.append((writer.submit("r", {"parameters": values}, {}), values.copy()))
    history = History(tmp_path / "history")
    for ticket, expected in written:
        assert history.read(ticket.wait())["parameters"].tobytes() == expected.tobytes()


def test_what_lies_on_a_shelf_is_lent_and_not_copied(writer, tmp_path):
    shelf, written = Shelf(tmp_path), []
    for step in range(4):
        values = shelf.vector(1_100_000, np.float32)
        values[:] = step
        values[step:] += 0.5
        written.append((writer.submit("r", {"parameters": frozen(values)}, {}), values.tobytes()))
        assert writer._block.n_bytes < 64
    history = History(tmp_path / "history")
    for ticket, expected in written:
        assert history.read(ticket.wait())["parameters"].tobytes() == expected


def test_what_is_lent_stays_where_it_is_until_the_commit_is_done(writer, tmp_path):
    writer.start()
    os.kill(writer.pid, signal.SIGSTOP)
    shelf = Shelf(tmp_path)
    values = shelf.vector(1_100_000, np.float32)
    values[:] = 1.0
    ticket = writer.submit("r", {"parameters": frozen(values)}, {})
    del values
    shelf.vector(1_100_000, np.float32)[:] = 2.0
    os.kill(writer.pid, signal.SIGKILL)  # the next one gets it again
    assert History(tmp_path / "history").read(ticket.wait())["parameters"].max() == 1.0
    assert ticket.groups is None


def test_a_writable_array_on_a_shelf_is_copied(writer, tmp_path):
    values = Shelf(tmp_path).vector(1_100_000, np.float32)
    values[:] = 1.0
    ticket = writer.submit("r", {"parameters": values}, {})
    values[:] = 2.0
    assert History(tmp_path / "history").read(ticket.wait())["parameters"].max() == 1.0


def test_versions_may_grow(writer, tmp_path):
    for size in (10, 100_000, 5, 400_000):
        snapshot = writer.submit("r", {"parameters": np.full(size, size, np.float32)}, {}).wait()
        values = History(tmp_path / "history").read(snapshot)["parameters"]
        assert (values.size, values.min()) == (size, size)


def test_a_writer_that_died_is_replaced_and_the_commit_done_again(writer, tmp_path):
    writer.submit("r", sample_groups(0), {}).wait()
    first = writer.pid
    os.kill(first, signal.SIGSTOP)
    ticket = writer.submit("r", sample_groups(1), {})
    os.kill(first, signal.SIGKILL)
    assert same_bits(History(tmp_path / "history").read(ticket.wait()), sample_groups(1))
    assert writer.pid != first
    after = writer.submit("r", sample_groups(2), {}).wait()
    assert same_bits(History(tmp_path / "history").read(after), sample_groups(2))


def test_a_commit_that_kills_the_writer_twice_is_given_up(writer):
    writer.submit("r", sample_groups(0), {}).wait()
    first = writer.pid
    os.kill(first, signal.SIGSTOP)
    ticket = writer.submit("r", sample_groups(1), {})
    ticket.tries = 2
    os.kill(first, signal.SIGKILL)
    with pytest.raises(WorkerDiedError, match="twice"):
        ticket.wait()
    assert writer.submit("r", sample_groups(2), {}).wait()


def test_waiting_ends_after_its_time_and_can_be_repeated(writer):
    writer.submit("r", sample_groups(0), {}).wait()
    os.kill(writer.pid, signal.SIGSTOP)
    ticket = writer.submit("r", sample_groups(1), {})
    with pytest.raises(TimeoutError):
        ticket.wait(0.05)
    assert not ticket.done
    os.kill(writer.pid, signal.SIGCONT)
    assert ticket.wait()


def test_a_commit_that_cannot_be_written_says_why_and_the_next_one_goes_through(writer):
    with pytest.raises(StoreError, match="at least one value"):
        writer.submit("r", {"parameters": np.zeros(0)}, {}).wait()
    assert writer.submit("r", sample_groups(), {}).wait()


def test_credentials_that_the_coordinator_dropped_are_dropped(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "environ", {**os.environ, "AWS_REGION": "a", "AWS_SESSION_TOKEN": "t"})
    place, spans = HistoryPlace(tmp_path / "history"), (Span("parameters", "<f4", 0, 0, 2),)
    request = CommitRequest(place, "r", {}, 0.0, ((block := SharedBlock.create(8)),), spans)
    asked = [(request, {"AWS_REGION": "b"}), EOFError]
    channel = Mock(recv=Mock(side_effect=asked))
    with pytest.raises(EOFError):
        serve(channel, ())
    assert channel.send.call_args.args[0][0] == "done"
    assert aws_environment() == {"AWS_REGION": "b"}
    block.close()


def test_the_writer_gives_way_to_training(writer):
    writer.submit("r", sample_groups(), {}).wait()
    assert os.getpriority(os.PRIO_PROCESS, writer.pid) >= 5


def test_closing_ends_the_process(writer):
    writer.start()
    first = writer.pid
    ticket = writer.submit("r", sample_groups(), {})
    assert writer.pid == first
    pid = writer.pid
    writer.close()
    patience = time.monotonic() + 5
    while os.path.exists(f"/proc/{pid}/exe") and time.monotonic() < patience:
        time.sleep(0.02)
    assert not os.path.exists(f"/proc/{pid}/exe")
    assert ticket.wait()
