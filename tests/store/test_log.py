"""The operations log: what was changed, taken out or cut off is found."""

import sqlite3
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from flnb.store import Operation, StateStore
from flnb.testing.stores import sample_run

ASKED = Operation(
    datetime(2026, 1, 1, 3, 4, 5, 6, tzinfo=UTC), "ada", "pause", "run001", "lunch – ε"
)


@pytest.fixture
def state(tmp_path):
    store = StateStore(tmp_path / "state.db")
    store.create_run(sample_run())
    for verb in ("start", "pause", "resume", "stop"):
        store.append_operation(replace(ASKED, verb=verb, details={"round": 3, "to": [1, "x"]}))
    yield store
    store.close()


def tamper(tmp_path, statement):
    with sqlite3.connect(tmp_path / "state.db") as connection:
        connection.execute(statement)


def test_a_log_that_nobody_touched_is_whole(state):
    position, digest = state.log_head()
    assert (position, len(digest)) == (4, 64)
    assert state.log_damage({position: digest}) == ""


@pytest.mark.parametrize(
    "column", ["actor = 'eve'", "reason = ''", "verb = 'start'", "details = '{}'", "at = at + 1"]
)
def test_a_changed_entry_is_named(state, tmp_path, column):
    tamper(tmp_path, f"UPDATE operations SET {column} WHERE position = 3")
    assert "operation 3" in state.log_damage({})


def test_an_entry_that_was_taken_out_breaks_the_chain(state, tmp_path):
    tamper(tmp_path, "DELETE FROM operations WHERE position = 2")
    assert "operation 3" in state.log_damage({})


def test_entries_that_were_cut_off_are_missed_by_the_commit_that_carries_them(state, tmp_path):
    position, digest = state.log_head()
    tamper(tmp_path, "DELETE FROM operations WHERE position = 4")
    assert state.log_damage({}) == ""
    assert f"operation {position} is in a commit" in state.log_damage({position: digest})


def test_entries_of_before_there_was_a_chain_are_let_be(state, tmp_path):
    state.close()
    tamper(tmp_path, "DELETE FROM operations")
    tamper(
        tmp_path, "INSERT INTO operations (at, actor, verb, reason) VALUES (1, 'ada', 'start', '')"
    )
    state.append_operation(ASKED)
    assert state.log_damage({}) == ""
    assert [operation.verb for operation in state.operations()] == ["start", "pause"]
    assert state.operations()[0].details == {}


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE operations SET digest = NULL, signature = NULL, actor = 'eve'",
        "DELETE FROM operations",
    ],
)
def test_a_log_that_was_signed_is_not_whole_without_any_digest(state, tmp_path, statement):
    tamper(tmp_path, "UPDATE lab SET log_key = x'00'")
    tamper(tmp_path, statement)
    assert "signatures of all operations" in state.log_damage({})
