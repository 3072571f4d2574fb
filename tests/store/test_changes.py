"""Readings of the state that are done again only when somebody has written."""

import pytest

from flnb.store import StateStore
from flnb.testing.stores import sample_run


@pytest.fixture
def state(tmp_path):
    state = StateStore(tmp_path / "state.db")
    state.create_run(sample_run())
    yield state
    state.close()


def test_what_nobody_has_changed_is_not_read_again(state, no_leaks):
    pending = state.when_changed(state.pending_commands)
    assert pending() == []
    assert pending() is None
    state.close()


def test_what_another_connection_wrote_is_read_once(state, tmp_path):
    pending = state.when_changed(state.pending_commands)
    pending()
    elsewhere = StateStore(tmp_path / "state.db")
    asked = elsewhere.enqueue_command("run001", "pause")
    elsewhere.close()
    assert pending() == [asked]
    assert pending() is None


def test_what_is_written_while_it_is_read_is_read_next_time(state):
    def read():
        found = state.pending_commands()
        if not found:
            state.enqueue_command("run001", "pause")
        return found

    pending = state.when_changed(read)
    assert pending() == []
    assert [command.verb for command in pending()] == ["pause"]


def test_what_came_to_nothing_is_read_again(state):
    pending = state.when_changed(state.pending_commands)
    pending()
    pending.again()
    assert pending() == []


def test_a_reading_that_failed_is_done_again(state):
    answers = iter([OSError("the disk is gone"), "found"])

    def read():
        if isinstance(answer := next(answers), OSError):
            raise answer
        return answer

    reading = state.when_changed(read)
    with pytest.raises(OSError, match="gone"):
        reading()
    assert reading() == "found"


def test_a_database_that_was_closed_is_read_again(state):
    pending = state.when_changed(state.pending_commands)
    pending()
    state.close()
    assert pending() == []
