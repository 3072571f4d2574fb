"""A shared lab does what a lab in a folder does; and rows mean the same in both databases."""

import traceback
from dataclasses import replace
from datetime import timedelta

import pytest

from flnb.core import Status
from flnb.core.errors import HeadMovedError, StoreError
from flnb.store import LabStore, Operation, Request, StateStore
from flnb.store.records import InviteRecord
from flnb.testing.stores import MOMENT, StoreSuite, sample_closing, sample_run


class TestSharedLab(StoreSuite):
    # Commits do not know where the state is.
    test_a_version_is_read_back_bit_for_bit = test_old_versions_stay = None
    test_a_reset_leaves_the_named_version_and_goes_on_from_it = None
    test_an_unknown_version_is_not_found = None

    @pytest.fixture(autouse=True)
    def _elsewhere(self, state_url, fork_server):
        self.state_url, self.fork_server = state_url, fork_server

    def open_store(self, path):
        return LabStore.open(path, self.state_url, fork_server=self.fork_server)


@pytest.fixture
def state(state_url):
    state = StateStore(state_url, address="s3://models/lab")
    state.create_run(sample_run())
    yield state
    state.close()


def test_large_numbers_and_all_texts_are_kept(state):
    closing = replace(sample_closing(1), bytes_up=2**40, closed_by="Größe 'x' \\ ☃")
    state.close_round(closing)
    (found,) = state.closings()
    assert (found.bytes_up, found.closed_by) == (closing.bytes_up, closing.closed_by)
    state.set_status("run001", Status.PAUSED, "kein Platz")
    assert state.run("run001").error == "kein Platz"


def test_names_come_in_the_order_of_their_bytes(state):
    for name in ("Zoe", "adam", "Émile", "bea"):
        invite = InviteRecord(name, name, "client", MOMENT, MOMENT + timedelta(days=1))
        state.add_invite(invite)
        state.join(name, name.encode(), MOMENT)
    assert [client.name for client in state.clients()] == ["Zoe", "adam", "bea", "Émile"]
    state.seen("bea", MOMENT, 7, {"loss": float("nan")})
    state.revoke_client("adam", "left", MOMENT)
    assert (state.client("bea").n_examples, list(state.revoked())) == (7, ["adam"])


def test_a_head_is_moved_once_from_where_it_was_seen(state):
    for number in (1, 2, 3):
        state.close_round(sample_closing(number, snapshot=f"s{number}"))
    request = Request(id="a", actor="ada", reason="poisoned")
    moved = state.move_head("run001", (1, 3), None, request)
    assert state.move_head("run001", (1, 3), None, request) == moved
    with pytest.raises(HeadMovedError):
        state.move_head("run001", (1, 3), None, Request(id="b", actor="bob", reason=""))
    assert list(state.names("run001")) == ["before-rollback-1"]


def test_an_error_says_what_was_broken_and_not_what_was_to_be_written(state):
    payload = {"told": "in confidence"[::-1]}
    with pytest.raises(StoreError, match="no such run") as refused:
        state.journal("nobody", 1, 0, "assigned", payload)
    assert payload["told"] not in "".join(traceback.format_exception(refused.value))
    with pytest.raises(StoreError, match="this already"), state._database.writing() as connection:
        connection.exec_driver_sql("INSERT INTO lab SELECT * FROM lab")
    with (
        pytest.raises(StoreError, match="cannot hold this"),
        state._database.writing() as connection,
    ):
        connection.exec_driver_sql("UPDATE lab SET format = NULL")


def test_the_log_is_a_chain_here_too(state, postgres, state_url):
    for verb in ("start", "pause", "resume"):
        state.append_operation(Operation(MOMENT, "ada", verb, "run001", "", {"n": 1.5}))
    known = dict([state.log_head()])
    assert state.log_damage(known) == ""
    postgres.do("UPDATE operations SET actor = 'eve' WHERE verb = 'pause'", state_url)
    assert "pause by eve" in state.log_damage(known)
