"""What becomes of commits when the line to the bucket is cut, or an answer is lost."""

import contextlib
import logging

import pytest

from flnb.core.errors import CommitConflictError, StorageUnreachableError
from flnb.store import History, HistoryWriter, silence
from flnb.testing.stores import same_bits, sample_groups
from tests.s3.line import Refusal
from tests.s3.servers import wait_for


@pytest.fixture
def writer(place, line, fork_server):
    writer = HistoryWriter(place, fork_server=fork_server, patience_s=30.0)
    yield writer
    writer.close()


def is_held_up(ticket):
    with contextlib.suppress(TimeoutError):
        ticket.wait(0.05)
    return bool(ticket.held_up)


def test_a_commit_waits_for_a_line_that_comes_back_and_says_so(writer, line, place, caplog):
    first = writer.submit("r", sample_groups(0), {}).wait(30)
    line.cut()
    with caplog.at_level(logging.WARNING, "flnb.store.writer"):
        ticket = writer.submit("r", sample_groups(1), {"round": 1})
        wait_for(lambda: is_held_up(ticket), "the writer says that it waits")
        line.mend()
        snapshot = ticket.wait(60)
    assert "tried again" in caplog.text
    history = History(place)
    assert same_bits(history.read(snapshot), sample_groups(1))
    assert same_bits(history.read(first), sample_groups(0))


def test_when_patience_ends_the_commit_fails_and_the_next_one_goes_through(
    place, line, fork_server
):
    writer = HistoryWriter(place, fork_server=fork_server, patience_s=0.1)
    first = writer.submit("r", sample_groups(0), {}).wait(30)
    line.cut()
    with pytest.raises(StorageUnreachableError, match=r"does not answer[^→]*→ .*run\.resume\(\)"):
        writer.submit("r", sample_groups(1), {}).wait(60)
    line.mend()
    writer.reset("r", first)
    after = writer.submit("r", sample_groups(2), {}).wait(30)
    writer.close()
    assert same_bits(History(place).read(after), sample_groups(2))


def test_a_commit_whose_answer_was_lost_is_known_again(place, line):
    history = History(place)
    history.write("r", sample_groups(0), {})
    line.lose_answer(b"PUT /lab/" + f"{place.prefix}/refs/branch.r/".encode())
    snapshot = history.write("r", sample_groups(1), {"round": 1})
    assert not line.waits_for_loss
    assert history.meta(snapshot) == {"round": 1}
    assert same_bits(history.read(snapshot), sample_groups(1))


def test_a_branch_that_somebody_else_moved_meanwhile_is_a_conflict(place):
    history, other = History(place), History(place)
    history.write("r", sample_groups(0), {})

    def meet(point):
        if point == "chunks-written":
            patch.undo()
            other.write("r", sample_groups(2), {"round": 2})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("flnb.store.history.failpoints.reach", meet)
        with pytest.raises(CommitConflictError, match="branch r"):
            history.write("r", sample_groups(1), {"round": 1})


def test_reading_over_a_dead_line_says_so_and_reads_later(place, line):
    history = History(place)
    snapshot = history.write("r", sample_groups(), {})
    line.cut()
    with pytest.raises(StorageUnreachableError):
        history.read(snapshot)
    line.mend()
    wait_for(lambda: same_bits(history.read(snapshot), sample_groups()), "read again")


@pytest.mark.parametrize("status", ["503 Service Unavailable", "429 Too Many Requests"])
def test_a_server_that_has_too_much_to_do_is_asked_again_and_then_named(status, place, line):
    history = History(place)
    snapshot = history.write("r", sample_groups(0), {})
    for call in (lambda: history.keep("kept", snapshot), lambda: history.size_bytes):
        told = line.refuse(Refusal(status))
        with pytest.raises(StorageUnreachableError, match="does not answer"):
            call()
        assert told.said
    line.mend()
    assert same_bits(history.read(snapshot), sample_groups(0))


def test_a_commit_outlasts_a_server_that_says_nothing_but_that_it_is_busy(writer, line, place):
    writer.submit("r", sample_groups(0), {}).wait(30)
    told = line.refuse(Refusal("503 Service Unavailable"))
    ticket = writer.submit("r", sample_groups(1), {})
    wait_for(lambda: is_held_up(ticket), "the writer says that it waits")
    told.left = told.said
    assert same_bits(History(place).read(ticket.wait(60)), sample_groups(1))


@pytest.mark.parametrize("asked", [b"", b"PUT", b"/chunks/", b"/refs/"])
def test_a_server_that_takes_requests_and_answers_none_is_given_up(asked, place, line, monkeypatch):
    history = History(place)
    history.write("r", sample_groups(0), {})
    monkeypatch.setattr(silence, "ANSWER_S", 0.3)
    told = line.refuse(Refusal("", sign=asked))
    with pytest.raises(StorageUnreachableError, match="no answer for"):
        history.write("r", sample_groups(1), {})
    assert told.said
    monkeypatch.undo()
    line.mend()
    snapshot = history.write("r", sample_groups(2), {})
    assert same_bits(history.read(snapshot), sample_groups(2))
