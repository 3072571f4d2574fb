"""The state database: one transaction a step, whatever process dies or looks on meanwhile."""

import signal
import sqlite3
import threading
import traceback
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from flnb.core import Status
from flnb.core.errors import LabVersionError, NameTakenError, NotFoundError, StoreError
from flnb.store import JournalRecord, LabStore, Operation, Request, RoundKey, StateStore
from flnb.testing.stores import sample_closing, sample_run


@pytest.fixture
def state(tmp_path):
    store = StateStore(tmp_path / "state.db")
    store.create_run(sample_run())
    yield store
    store.close()


def test_a_newer_format_is_refused_and_left_alone(state, tmp_path):
    state.close()
    with sqlite3.connect(tmp_path / "state.db") as connection:
        connection.execute("UPDATE lab SET format = 99")
    with pytest.raises(LabVersionError) as refused:
        StateStore(tmp_path / "state.db")
    assert (refused.value.found, refused.value.supported) == (99, 1)


def test_a_file_that_is_something_else_is_refused(tmp_path):
    (tmp_path / "state.db").write_bytes(b"dear diary, " * 1000)
    with pytest.raises(StoreError, match="not the database of a lab"):
        StateStore(tmp_path / "state.db")
    assert (tmp_path / "state.db").read_bytes().startswith(b"dear diary")


def test_an_older_lab_gets_the_columns_it_lacks(state, tmp_path):
    state.append_operation(Operation(datetime(2026, 1, 1, tzinfo=UTC), "ada", "start", "run001"))
    state.close()
    with sqlite3.connect(tmp_path / "state.db") as connection:
        for table, column in (
            ("operations", "digest"),
            ("operations", "details"),
            ("runs", "protected"),
        ):
            connection.execute(f"ALTER TABLE {table} DROP COLUMN {column}")
    older = StateStore(tmp_path / "state.db")
    assert [operation.verb for operation in older.operations()] == ["start"]
    assert older.run("run001").protected is False
    older.close()


def test_a_run_that_is_named_as_the_identity_of_another_one_does_not_stand_in_for_it(state):
    other = sample_run("run001", number=2)
    with pytest.raises(NameTakenError, match="'run001' is the identity of the run 'quiet-otter'"):
        state.create_run(other)
    state.create_run(sample_run("calm-fox", number=0))
    with state._database.writing() as connection:  # as in a lab of before
        connection.execute(text("UPDATE runs SET name = 'run001' WHERE id = 'run000'"))
    assert [state.run(one).id for one in ("run001", "run000")] == ["run001", "run000"]


def test_an_unknown_run_cannot_change_its_status(state):
    with pytest.raises(NotFoundError):
        state.set_status("nobody", Status.PAUSED)


def test_status_and_its_reason_are_kept_and_cleared(state):
    state.set_status("run001", Status.PAUSED, "disk full")
    assert (state.run("run001").status, state.run("run001").error) == (Status.PAUSED, "disk full")
    state.set_status("run001", Status.RUNNING)
    assert state.run("run001").error is None


def test_a_mistyped_column_is_refused_before_anything_is_written(state):
    with pytest.raises(ValueError, match="clinet"):
        state.close_round(replace(sample_closing(1), updates={"clinet": ["c1"]}))
    with pytest.raises(ValueError, match="differ in length"):
        state.close_round(replace(sample_closing(1), events={"kind": ["a"], "detail": []}))
    assert state.head("run001").round == 0


def test_missing_columns_are_nulls_and_no_rows_are_empty_columns(state):
    bare = replace(sample_closing(1), metrics={"metric": ["loss"]}, updates={})
    state.close_round(bare)
    read = state.closing("run001", 1)
    assert read.metrics["scope"].tolist() == [None]
    assert [len(values) for values in read.updates.values()] == [0] * 9
    assert list(read.assignments["attempt"]) == [0, 0, 0]


def test_several_steps_are_journaled_together_or_not_at_all(state):
    steps = [JournalRecord(run, 1, 0, "assigned") for run in ("run001", "run001", "nobody")]
    with pytest.raises(StoreError, match="no such run"):
        state.journal_all(steps)
    assert state.journal_of_open_round("run001") == []
    state.journal_all(steps[:2])
    state.journal_all([])
    assert state.journal_of_open_round("run001") == steps[:2]


def test_an_error_says_what_was_broken_and_not_what_was_to_be_written(state):
    payload = {"told": "in confidence"[::-1]}
    with pytest.raises(StoreError, match="no such run") as refused:
        state.journal("nobody", 1, 0, "assigned", payload)
    assert payload["told"] not in "".join(traceback.format_exception(refused.value))
    for statement, meaning in (
        ("INSERT INTO lab SELECT * FROM lab", "this already"),
        ("UPDATE lab SET format = NULL", "cannot hold this"),
    ):
        with pytest.raises(StoreError, match=meaning), state._database.writing() as connection:
            connection.exec_driver_sql(statement)


def test_tables_without_a_lab_are_no_lab_where_none_may_be_made(tmp_path):
    StateStore(tmp_path / "state.db").close()
    with sqlite3.connect(tmp_path / "state.db") as connection:
        connection.execute("DELETE FROM lab")
    with pytest.raises(NotFoundError):
        LabStore.open(tmp_path, create=False)
    assert [path.name for path in tmp_path.glob("secret*")] == []
    StateStore(tmp_path / "state.db").close()


def test_closing_one_run_leaves_the_journal_of_another(state):
    state.create_run(sample_run("calm-fox", number=2))
    for run in ("run001", "run002"):
        state.journal(run, 1, 0, "assigned", {})
    state.close_round(sample_closing(1))
    assert [step.run for step in state.journal_of_open_round("run002")] == ["run002"]


def test_many_closings_are_followed_in_order_page_by_page(state):
    for number in range(1, 71):
        state.close_round(sample_closing(number, clients=1))
    assert [closing.round for closing in state.closings("run001")] == list(range(1, 71))
    assert [closing.round for closing in state.closings(after=68)] == [69, 70]
    assert state.positions() == list(range(1, 71))


def test_operations_are_kept_in_order(state):
    asked = Operation(datetime(2026, 1, 1, tzinfo=UTC), "ada", "pause", "run001", "lunch")
    started = replace(asked, verb="start", run=None, reason="")
    for operation in (started, asked):
        state.append_operation(operation)
    assert state.operations() == [started, asked]
    assert state.operations("run001") == [asked]


def test_threads_write_side_by_side(state):
    def close(first):
        for number in range(first, first + 15):
            state.journal("run001", number, 0, "assigned", {})
            state.close_round(sample_closing(number, clients=0))

    threads = [threading.Thread(target=close, args=(100 * turn,)) for turn in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({closing.round for closing in state.closings()}) == 60
    assert state.positions() == list(range(1, 61))
    assert state.head("run001").round == 314


WRITE_FOR_EVER = """
import itertools, sys
from pathlib import Path
from flnb.store import StateStore
from flnb.testing.stores import sample_closing
state = StateStore(Path(sys.argv[1]))
for number in itertools.count(1):
    state.journal("run001", number, 0, "assigned", {})
    state.close_round(sample_closing(number, snapshot=f"s{number}"))
    print(number, flush=True)
"""


def test_a_killed_writer_loses_no_round_that_it_has_closed(state, tmp_path, interpreters):
    with interpreters.start(WRITE_FOR_EVER, tmp_path / "state.db") as writer:
        said = [int(writer.stdout.readline()) for _ in range(20)]
        writer.send_signal(signal.SIGKILL)
        said += [int(line) for line in writer.stdout]
    rounds = [closing.round for closing in state.closings()]
    assert rounds == list(range(1, len(rounds) + 1))
    assert len(rounds) - said[-1] in (0, 1)
    assert state.head("run001").snapshot == f"s{rounds[-1]}"
    assert state.problem() == ""


def test_a_process_stopped_between_commit_and_projection_has_closed_the_round(
    state, tmp_path, interpreters
):
    place = {"FLNB_FAILPOINT": "after-closing:3"}
    with interpreters.start(WRITE_FOR_EVER, tmp_path / "state.db", **place) as writer:
        writer.stopped()
        assert state.head("run001").round == 3
        assert state.journal_of_open_round("run001") == []
        writer.kill()


def test_two_processes_may_make_the_same_lab_at_once(tmp_path, interpreters):
    make = (
        "from pathlib import Path; from flnb.store import StateStore;"
        "sys.stdin.read(); print(StateStore(Path(sys.argv[1])).lab_id)"
    )
    makers = [interpreters.start(make, tmp_path / "new.db") for _ in range(2)]
    for maker in makers:
        maker.stdin.close()
    found = {maker.stdout.read().strip() for maker in makers}
    assert [maker.wait() for maker in makers] == [0, 0]
    assert len(found) == 1
    for maker in makers:
        maker.close()


def test_a_plan_takes_back_the_rounds_that_were_not_committed(state):
    state.close_round(sample_closing(1, snapshot="s1"))
    gone = [state.close_round(sample_closing(number)).position for number in (2, 3)]
    state.journal("run001", 4, 0, "assigned", {})
    state.set_plan("run001", "rounds: 9\n", "new", forget_after=1)
    head = state.head("run001")
    assert (head.round, head.snapshot, state.run("run001").plan_hash) == (1, "s1", "new")
    assert state.closing("run001", 2) is None
    assert state.journal_of_open_round("run001") == []
    assert state.close_round(sample_closing(2)).position > max(gone)
    assert state.head("run001").round == 2


def test_a_plan_takes_back_all_rounds_or_none(state):
    state.close_round(sample_closing(1))
    state.set_plan("run001", "a", "a")
    assert state.head("run001").round == 1
    state.set_plan("run001", "b", "b", forget_after=0)
    assert (state.head("run001").round, list(state.closings())) == (0, [])
    with pytest.raises(NotFoundError):
        state.set_plan("nobody", "b", "b")


def test_a_committed_round_is_never_taken_back(state):
    for number in (1, 2):
        state.close_round(sample_closing(number, snapshot=f"s{number}"))
    with pytest.raises(ValueError, match="committed"):
        state.set_plan("run001", "new", "new", forget_after=1)
    assert state.head("run001").round == 2
    assert state.run("run001").plan_hash != "new"


def test_a_round_that_comes_out_as_it_did_is_not_taken_back(state):
    for number in (1, 2, 3):
        state.close_round(sample_closing(number))
    later = sample_closing(2).closed_at + timedelta(hours=1)
    events = {"position": [0], "kind": ["stalled"], "client": [""], "detail": ["for 9 s"]}
    again = replace(sample_closing(2, snapshot="s2"), closed_at=later, seconds_s=9, events=events)
    assert not state.take_back_if_other(again)
    assert not state.take_back_if_other(sample_closing(4)), "it is done for the first time"
    assert (state.forgotten(), state.last_taken_back("run001")) == ([], 0)


@pytest.mark.parametrize("differs", ["clients", "measured", "attempt"])
def test_a_round_that_comes_out_otherwise_takes_all_back_that_followed(state, differs):
    gone = [state.close_round(sample_closing(number)).position for number in (1, 2, 3)]
    state.journal("run001", 4, 0, "assigned", {})
    again = {
        "clients": sample_closing(2, clients=4),
        "measured": replace(sample_closing(2), metrics=sample_closing(3).metrics),
        "attempt": replace(sample_closing(2), attempt=1),
    }[differs]
    assert state.take_back_if_other(again)
    assert (state.head("run001").round, state.closing("run001", 2)) == (1, None)
    assert state.last_taken_back("run001") > max(gone)
    assert state.journal_of_open_round("run001"), "the round that is open now"
    assert state.close_round(again).position > state.last_taken_back("run001")


def test_a_commit_that_was_damaged_and_comes_out_otherwise_is_another_round(state):
    state.close_round(sample_closing(1, snapshot="s1"))
    gone = Request(id="r", actor="ada", reason="a chunk is missing")
    state.drop_damaged(RoundKey("run001", 1, 1), gone)
    same = sample_closing(1, snapshot="s1")
    assert not state.take_back_if_other(same)
    assert state.take_back_if_other(replace(same, parameters_sha256="another"))


def test_a_committed_round_stays_whatever_comes_out(state):
    state.close_round(sample_closing(1, snapshot="s1"))
    assert not state.take_back_if_other(sample_closing(1, clients=5))
    assert state.closing("run001", 1).invited == 3


def test_a_lab_from_before_rounds_could_be_taken_back_gets_what_it_lacks(state, tmp_path):
    state.close_round(sample_closing(1))
    state.close()
    with sqlite3.connect(tmp_path / "state.db") as connection:
        connection.execute("DROP TABLE forgotten")
    again = StateStore(tmp_path / "state.db")
    assert again.lab_id == state.lab_id
    assert again.close_round(sample_closing(2)).position == 2
    again.close()


def test_summaries_are_closings_without_their_rows_of_clients(state):
    for number in (1, 2):
        state.close_round(sample_closing(number, snapshot=f"s{number}"))
    for whole, summary in zip(state.closings(), state.summaries("run001"), strict=True):
        assert (summary.round, summary.snapshot, summary.accepted) == (
            whole.round,
            whole.snapshot,
            whole.accepted,
        )
        assert summary.metrics["metric"].tolist() == whole.metrics["metric"].tolist()
        assert len(summary.updates["client"]) == len(summary.assignments["client"]) == 0


def test_commands_from_before_a_start_are_dropped_with_a_word(state):
    done, waiting = (state.enqueue_command("run001", verb) for verb in ("pause", "stop"))
    assert state.begin_command(done.id)
    state.finish_command(done.id, "done")
    assert state.drop_commands("the coordinator has ended") == 1
    assert state.pending_commands() == []
    assert state.command(done.id).result == "done"
    assert state.command(waiting.id).result == "the coordinator has ended"


def test_a_command_is_taken_back_or_begun_and_never_both(state):
    begun, taken_back = (state.enqueue_command("run001", "stop") for _ in range(2))
    assert state.begin_command(begun.id)
    assert state.begin_command(begun.id), "its answer could not be written"
    assert not state.withdraw_command(begun.id, "withdrawn")
    assert state.withdraw_command(taken_back.id, "withdrawn")
    assert not state.begin_command(taken_back.id)
    for command in (begun, taken_back):
        state.finish_command(command.id, "done")
    assert state.command(begun.id).result == "done"
    assert state.command(taken_back.id).result == "withdrawn"


def test_what_is_read_at_one_moment_is_of_that_moment(state, tmp_path):
    with state.at_one_moment(), state.at_one_moment():
        before = state.runs()
        state.create_run(sample_run("later", number=2))
        assert state.runs() == before
        with ThreadPoolExecutor(1) as beside:  # a moment is of one thread
            assert len(beside.submit(state.runs).result()) == 2
    with pytest.raises(NotFoundError), state.at_one_moment():
        state.run("nobody")
    assert len(state.runs()) == 2
