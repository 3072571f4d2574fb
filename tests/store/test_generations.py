"""Forks and roll backs: one transaction each, done once, and only on the head that was seen."""

import threading
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from flnb.core import Status
from flnb.core.errors import (
    HeadMovedError,
    NotFoundError,
    PlanError,
    RoundStateError,
    StoreError,
)
from flnb.store import FailedAttempt, Request, RoundKey, StateStore
from flnb.testing.stores import sample_closing, sample_run


@pytest.fixture
def state(tmp_path):
    store = StateStore(tmp_path / "state.db")
    store.create_run(sample_run())
    close(store, 1, 6)
    yield store
    store.close()


def close(state, first, last, run="run001", commits=True):
    generation = state.run(run).generation
    for number in range(first, last + 1):
        snapshot = f"{run}-{generation}-{number}" if commits else None
        closing = sample_closing(number, run=run, clients=1, snapshot=snapshot)
        branch = state.run(run).branch
        state.close_round(replace(closing, generation=generation, branch=branch))


def asked(name="one", reason="poisoned"):
    return Request(id=name, actor="ada", reason=reason)


def rounds(state, run="run001"):
    return [closing.snapshot for closing in state.summaries(run)]


def branch_of(name="lr-3e-2"):
    return replace(sample_run(f"quiet-otter/{name}", number=9), branch=name)


def test_a_roll_back_takes_rounds_off_the_line_and_keeps_them(state):
    state.move_head("run001", (1, 6), RoundKey("run001", 1, 3), asked())
    head = state.head("run001")
    assert (head.round, head.snapshot) == (3, "run001-1-3")
    assert rounds(state) == ["run001-1-1", "run001-1-2", "run001-1-3"]
    assert len(list(state.closings("run001"))) == 6
    assert (state.run("run001").status, state.run("run001").generation) == (Status.PAUSED, 2)


def test_rounds_after_a_roll_back_take_the_place_of_those_that_left(state):
    state.move_head("run001", (1, 6), RoundKey("run001", 1, 3), asked())
    close(state, 4, 5)
    assert rounds(state)[2:] == ["run001-1-3", "run001-2-4", "run001-2-5"]
    assert state.closing("run001", 4).generation == 2
    assert state.head("run001").snapshot == "run001-2-5"


def test_rolling_back_a_roll_back_brings_everything_again(state):
    before = rounds(state)
    state.move_head("run001", (1, 6), RoundKey("run001", 1, 3), asked("one"))
    kept = state.names("run001")["before-rollback-1"]
    state.move_head("run001", (2, 3), kept.key, asked("two"))
    assert rounds(state) == before
    assert (state.head("run001").round, state.run("run001").generation) == (6, 3)


def test_what_two_branches_left_behind_has_two_names(state):
    forked = replace(sample_run("quiet-otter/b", number=2), branch="b")
    state.fork(forked, RoundKey("run001", 1, 6), asked("fork"))
    state.move_head("run001", (1, 6), RoundKey("run001", 1, 3), asked("one"))
    state.move_head("run002", (1, 6), RoundKey("run001", 1, 3), asked("two"))
    kept = {name: one.key for name, one in state.names("run001").items()}
    assert kept["before-rollback-1"] == RoundKey("run001", 1, 6)
    assert kept["before-rollback-b-1"] == RoundKey("run002", 1, 6)


def test_to_before_the_first_round(state):
    state.move_head("run001", (1, 6), None, asked())
    assert (state.head("run001").round, state.head("run001").snapshot) == (0, None)
    close(state, 1, 1)
    assert rounds(state) == ["run001-2-1"]


def test_a_head_that_moved_meanwhile_stays_where_it_is(state):
    close(state, 7, 7)
    with pytest.raises(HeadMovedError, match="now it is at round 7 of generation 1") as refused:
        state.move_head("run001", (1, 6), RoundKey("run001", 1, 3), asked())
    assert (refused.value.seen, refused.value.now) == ((1, 6), (1, 7))
    assert len(rounds(state)) == 7
    assert state.names("run001") == {}


def test_a_request_whose_answer_was_lost_is_answered_again_and_done_once(state):
    moved = state.move_head("run001", (1, 6), RoundKey("run001", 1, 3), asked())
    assert state.move_head("run001", (1, 6), RoundKey("run001", 1, 3), asked()) == moved
    assert state.run("run001").generation == 2
    assert [operation.verb for operation in state.operations("run001")] == ["rollback"]


def test_of_many_who_move_the_same_head_one_does(state):
    def move(number):
        try:
            state.move_head("run001", (1, 6), RoundKey("run001", 1, number), asked(str(number)))
            won.append(number)
        except HeadMovedError:
            lost.append(number)

    won, lost = [], []
    threads = [threading.Thread(target=move, args=(number,)) for number in (1, 2, 3, 4, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(won), len(lost)) == (1, 4)
    assert state.head("run001").round == won[0]


def test_a_round_that_comes_late_moves_no_newer_head(state):
    late = sample_closing(7, clients=1, snapshot="late")
    state.move_head("run001", (1, 6), RoundKey("run001", 1, 3), asked())
    state.close_round(late)
    assert (state.head("run001").round, state.head("run001").snapshot) == (3, "run001-1-3")


def test_a_protected_branch_is_not_moved_back(state):
    state.protect("run001", asked())
    with pytest.raises(RoundStateError, match="protected"):
        state.move_head("run001", (1, 6), RoundKey("run001", 1, 3), asked())
    state.protect("run001", asked(), protected=False)
    assert state.move_head("run001", (1, 6), RoundKey("run001", 1, 3), asked()).generation == 2


def test_an_alias_blocks_until_it_names_another_round(state):
    state.give_name("serving", RoundKey("run001", 1, 5), asked())
    with pytest.raises(RoundStateError, match=r"@serving \(round 5\)"):
        state.move_head("run001", (1, 6), RoundKey("run001", 1, 3), asked())
    state.give_name("serving", RoundKey("run001", 1, 3), asked())
    state.move_head("run001", (1, 6), RoundKey("run001", 1, 3), asked())
    assert [one.key.round for one in state.names_over_time("run001", "serving")] == [5, 3]


def test_the_name_of_a_head_that_was_left_behind_stays(state):
    state.move_head("run001", (1, 6), RoundKey("run001", 1, 3), asked())
    with pytest.raises(StoreError, match="left behind"):
        state.give_name("before-rollback-1", RoundKey("run001", 1, 1), asked())


def test_a_fork_shares_what_came_before_and_goes_its_own_way(state):
    state.fork(branch_of(), RoundKey("run001", 1, 4), asked())
    assert state.head("run009").snapshot == "run001-1-4"
    close(state, 5, 6, run="run009")
    assert rounds(state, "run009")[3:] == ["run001-1-4", "run009-1-5", "run009-1-6"]
    assert rounds(state)[4:] == ["run001-1-5", "run001-1-6"]


def test_rolling_a_fork_back_behind_its_beginning_stands_on_the_trunk(state):
    state.fork(branch_of(), RoundKey("run001", 1, 4), asked())
    close(state, 5, 6, run="run009")
    state.move_head("run009", (1, 6), state.line("run009").key(2), asked("back"))
    assert rounds(state, "run009") == ["run001-1-1", "run001-1-2"]


def test_a_fork_asked_for_twice_is_one_and_its_name_is_taken(state):
    first = state.fork(branch_of(), RoundKey("run001", 1, 4), asked())
    assert state.fork(branch_of(), RoundKey("run001", 1, 4), asked()) == first
    with pytest.raises(StoreError, match="already"):
        state.fork(branch_of(), RoundKey("run001", 1, 4), asked("other"))


def test_branches_of_a_run_share_its_names(state):
    state.fork(branch_of(), RoundKey("run001", 1, 4), asked())
    state.give_name("best-so-far", RoundKey("run001", 1, 2), asked())
    assert state.names("run009") == state.names("run001")


def test_a_reason_that_cannot_be_written_is_refused_before_anything_is_done(state):
    for asks in (
        lambda reason: asked(reason=reason),
        lambda reason: state.quarantine("c001", "ada", reason),
        lambda reason: state.release("c001", "ada", reason),
    ):
        with pytest.raises(PlanError, match="half a character at place 2, which cannot be written"):
            asks("a\udc80b")
    state.give_name("serving", RoundKey("run001", 1, 3), asked(reason="a – 💥"))
    assert state.quarantines() == {}
    assert state.log_damage({}) == ""


def test_a_base_is_a_commit_of_the_same_run(state):
    close(state, 7, 7, commits=False)
    state.create_run(sample_run("sly-fox", number=2))
    close(state, 1, 1, run="run002")
    other, unknown = RoundKey("run002", 1, 1), RoundKey("nobody", 1, 1)
    for base in (RoundKey("run001", 1, 999), RoundKey("run001", 1, 7), other, unknown):
        with pytest.raises(NotFoundError):
            state.move_head("run001", (1, 7), base, asked())
        with pytest.raises(NotFoundError):
            state.fork(branch_of(), base, asked())
    assert (state.head("run001").round, state.run("run001").generation) == (7, 1)
    assert len(state.runs()) == 2


def test_without_commits_a_head_stands_on_the_last_one_before(state):
    close(state, 7, 9, commits=False)
    assert (state.head("run001").round, state.head("run001").closing.round) == (9, 6)
    assert state.closing("run001", 8).snapshot is None


def test_unknown_runs_are_not_found(state):
    with pytest.raises(NotFoundError):
        state.move_head("nobody", (1, 0), None, asked())
    with pytest.raises(NotFoundError):
        state.line("nobody")


def failed(generation, number, attempt=0):
    return FailedAttempt(
        run="run001",
        generation=generation,
        round=number,
        attempt=attempt,
        counts={},
        reasons={0: "guard: loss > 3"},
        ended_at=datetime(2026, 1, 1, tzinfo=UTC),
    )


def test_a_move_that_repairs_an_attempt_goes_on_and_keeps_the_attempts_after_its_base(state):
    for number in (2, 4, 5):
        state.record_attempt("run001", number, 0, {"failed": 1})
    base = RoundKey("run001", 1, 3)
    state.move_head("run001", (1, 6), base, asked("one"), failed(1, 6))
    assert state.run("run001").status is Status.RUNNING
    assert state.failed_attempts("run001") == {4: 1, 5: 1, 6: 1}
    close(state, 4, 5)
    state.move_head("run001", (2, 5), base, asked("two"), failed(2, 5, attempt=1))
    assert state.failed_attempts("run001") == {4: 1, 5: 2, 6: 1}
    assert [one.reasons for one in state.attempts("run001")][-1] == {0: "guard: loss > 3"}
    state.move_head("run001", (3, 3), None, asked("three"))
    assert state.failed_attempts("run001") == {}


def test_whether_a_head_could_be_moved_is_seen_without_moving_it(state):
    base = RoundKey("run001", 1, 3)
    assert state.check_move("run001", (1, 6), base, asked())
    with pytest.raises(HeadMovedError):
        state.check_move("run001", (1, 5), base, asked())
    state.protect("run001", asked("p"))
    with pytest.raises(RoundStateError, match="protected"):
        state.check_move("run001", (1, 6), base, asked())
    state.protect("run001", asked("q"), protected=False)
    state.move_head("run001", (1, 6), base, asked())
    assert not state.check_move("run001", (1, 6), base, asked())


def test_a_branch_of_before_that_is_called_as_the_first_one_gets_another_name(state):
    state.fork(branch_of("main"), RoundKey("run001", 1, 4), asked())
    close(state, 5, 5, run="run009")
    state.create_run(replace(sample_run("quiet-otter/main-2", number=8), branch="main-2"))
    for _ in range(2):
        state.rename_doubles()
        record = state.run("run009")
        assert (record.name, record.branch) == ("quiet-otter/main-3", "main-3")
        assert state.closing("run009", 5).branch == "main-3"
    assert rounds(state, "run009") == [*rounds(state)[:4], "run009-1-5"]
    assert state.run("run001").name == "quiet-otter"
    last = state.operations("run009")[-1]
    assert (last.verb, last.details["name"]) == ("rename", "quiet-otter/main-3")
    assert state.log_damage({}) == ""


@pytest.mark.parametrize("other", ["Quiet-otter", "quiet_otter", "quiet%otter", "quiet-otter2"])
def test_expiry_of_one_run_looks_at_no_other_whose_name_is_nearly_its_own(state, other):
    state.give_name("serving", RoundKey("run001", 1, 3), asked())
    before = state.reached("quiet-otter").reasons
    assert before[RoundKey("run001", 1, 3)] == "named serving"
    state.create_run(replace(sample_run(f"{other}/x", number=7), branch="x"))
    close(state, 1, 2, run="run007")
    assert state.reached("quiet-otter").reasons == before
    assert [key.run for key in state.reached(other).reasons] == ["run007"]
