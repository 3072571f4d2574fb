"""Answers that come too late, twice, from nowhere or from another generation."""

from flnb.core.messages import Outcome
from flnb.rounds import (
    Accept,
    Closed,
    Drawn,
    Moved,
    Refuse,
    ResumeAsked,
    Stage,
    Synchronous,
    start,
    step,
)
from tests.rounds.words import answer


def opened(clients="abcd", *, need=2, **rule):
    state, _ = start(stages=[Stage("train", need)], rule=Synchronous(None, **rule), rounds=3)
    return step(state, [Drawn(tuple(clients))])[0]


def refusals(state, *facts):
    _, orders = step(state, facts)
    return [(o.rows.tolist(), o.reason) for o in orders if isinstance(o, Refuse)]


def accepted(state, *facts):
    _, orders = step(state, facts)
    return [row for order in orders if isinstance(order, Accept) for row in order.rows.tolist()]


def test_an_answer_counts_once():
    assert refusals(opened(), answer([1]), answer([1])) == [([1], "already answered")]
    assert accepted(opened(), answer([1]), answer([1])) == [1]


def test_a_row_named_twice_in_one_report_counts_once():
    assert accepted(opened(), answer([1, 1, 2])) == [1, 2]
    assert refusals(opened(), answer([1, 1, 2])) == [([1], "already answered")]


def test_a_lost_client_that_comes_back_is_refused():
    facts = answer([1], Outcome.LOST), answer([1])
    assert refusals(opened(), *facts) == [([1], "already answered")]
    assert accepted(opened(), *facts) == []


def test_an_answer_after_the_quorum_is_late():
    facts = answer([0]), answer([1]), answer([2]), answer([0])
    state = opened(on_quorum=True)
    assert refusals(state, *facts) == [
        ([2], "late: the stage has closed"),
        ([0], "already answered"),
    ]
    assert accepted(state, *facts) == [0, 1]


def test_an_answer_after_the_round_is_late():
    facts = answer([0, 1, 2, 3]), Closed(1), answer([0])
    assert refusals(opened(), *facts) == [([0], "late: the round has closed")]


def test_only_the_wrong_rows_of_a_report_are_refused():
    facts = answer([0]), answer([-1, 0, 2, 4, 1])
    assert refusals(opened(), *facts) == [
        ([-1, 4], "no such assignment"),
        ([0], "already answered"),
    ]
    assert accepted(opened(), *facts) == [0, 1, 2]


def test_a_wave_that_never_was_is_refused():
    for wave in (-1, 1, 99):
        assert refusals(opened(), answer([0], wave=wave)) == [([0], "no such assignment")]


def test_an_answer_to_another_stage_is_refused():
    assert refusals(opened(), answer([0], stage=1)) == [([0], "late: of stage 1, now 0")]


def test_an_answer_from_before_a_move_is_refused_even_if_its_row_exists_again():
    facts = Moved(2, 0), ResumeAsked(), Drawn(("a", "b")), answer([0], wave=1)
    assert refusals(opened(), *facts) == [([0], "stale: of generation 1, now 2")]
    assert accepted(opened(), *facts, answer([0], wave=1, generation=2)) == [0]


def test_an_empty_report_and_one_without_outcomes_change_nothing():
    state, orders = step(opened(), [answer([]), answer([1], Outcome.PENDING)])
    assert orders == ()
    assert state.waves[0].tally() == opened().waves[0].tally()


def test_a_cohort_that_nobody_asked_for_is_ignored():
    state, orders = step(opened(), [Drawn(("x", "y", "z"))])
    assert orders == ()
    assert list(state.waves) == [0]
