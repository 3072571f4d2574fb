"""How a synchronous round goes, one rule a test. Late and wrong answers are in test_refusals.py."""

import pytest

from flnb.core.messages import Outcome
from flnb.core.view import Phase, Status
from flnb.rounds import (
    Buffered,
    Closed,
    Drawn,
    Moved,
    PauseAsked,
    ResumeAsked,
    Stage,
    StopAsked,
    Synchronous,
    TimePassed,
    room,
    start,
    step,
)
from tests.rounds.words import answer, plain

ACCEPTED, REFUSED, FAILED, LOST = Outcome.ACCEPTED, Outcome.REFUSED, Outcome.FAILED, Outcome.LOST


def play(state, *facts):
    state, orders = step(state, facts)
    return state, plain(orders)


def begun(*, need=2, rounds=3, **rule):
    return start(stages=[Stage("train", need)], rule=Synchronous(None, **rule), rounds=rounds)[0]


def opened(clients="abcd", **how):
    return play(begun(**how), Drawn(tuple(clients)))[0]


def test_a_new_run_asks_for_the_cohort_of_round_1():
    rule = Synchronous(invite=10)
    state, orders = start(stages=[Stage("train", 8)], rule=rule, rounds=3)
    assert plain(orders) == [("Draw", 1, 0, 0, 10)]
    assert (state.round, state.status, state.phase) == (1, Status.RUNNING, Phase.WAITING)


def test_fedavg_goes_from_cohort_to_version_to_the_next_cohort():
    state, orders = play(begun(rounds=2), Drawn(("a", "b", "c")))
    assert orders == [("Assign", 0, 0, [0, 1, 2])]
    state, orders = play(state, answer([2, 0]))
    assert orders == [("Accept", 0, [0, 2], 0)]
    state, orders = play(state, answer([1]))
    assert orders == [("Accept", 0, [1], 0), ("Close", 1, "all answered")]
    state, orders = play(state, Closed(1))
    assert orders == [("Draw", 2, 0, 1, None)]
    state, orders = play(state, Drawn(("d", "e")), answer([0, 1], wave=1))
    assert orders[1:] == [("Accept", 1, [0, 1], 1), ("Close", 2, "all answered")]
    state, orders = play(state, Closed(2))
    assert orders == [("Finish", "done")]
    assert state.status is Status.FINISHED


def test_a_cohort_in_one_fact_and_clients_one_by_one_make_the_same_round():
    whole, orders = play(opened(), answer([3, 1, 0, 2]))
    apart, more = play(opened(), *(answer([row]) for row in (3, 1, 0, 2)))
    assert whole.waves[0].tally() == apart.waves[0].tally()
    assert orders[-1] == more[-1] == ("Close", 1, "all answered")
    assert orders[0] == ("Accept", 0, [0, 1, 2, 3], 0)


def test_a_quorum_closes_the_round_and_the_rest_are_late():
    state, orders = play(opened(on_quorum=True), answer([3]), answer([1]))
    assert orders[-1] == ("Close", 1, "quorum")
    assert state.waves[0].outcomes.all().tolist() == [
        Outcome.LATE,
        ACCEPTED,
        Outcome.LATE,
        ACCEPTED,
    ]


def test_a_quorum_takes_those_who_came_first_and_not_those_with_low_rows():
    _, orders = play(opened(on_quorum=True), answer([3, 2, 1, 0]))
    assert orders == [
        ("Refuse", 0, [1, 0], "late: 2 were enough"),
        ("Accept", 0, [2, 3], 0),
        ("Close", 1, "quorum"),
    ]


def test_a_quorum_counts_only_usable_answers():
    state, orders = play(opened(on_quorum=True), answer([0, 1], FAILED), answer([2]))
    assert orders == [("Accept", 0, [2], 0)]
    _, orders = play(state, answer([3]))
    assert orders[-1] == ("Close", 1, "quorum")


def test_the_deadline_closes_a_round_with_enough_answers():
    state, orders = play(opened(deadline_s=60), answer([0, 2]), TimePassed(59.9))
    assert orders == [("Accept", 0, [0, 2], 0)]
    state, orders = play(state, TimePassed(60.0))
    assert orders == [("Close", 1, "deadline")]
    assert state.waves[0].tally()["late"] == 2


def test_the_deadline_fails_a_round_with_too_few_answers():
    state, orders = play(opened(deadline_s=60), answer([0]), answer([1], LOST), TimePassed(61))
    (_, (*fail, tally), pause) = orders
    assert fail == ["Fail", 1, 0, "train", 1, 2]
    assert tally == {"pending": 2, "accepted": 1, "refused": 0, "failed": 0, "lost": 1, "late": 0}
    assert pause == ("Pause", "too few usable updates")
    assert (state.status, state.phase, state.version) == (Status.PAUSED, Phase.FAILED, 0)


def test_without_a_deadline_time_means_nothing():
    assert play(opened(), TimePassed(1e9))[1] == []


def test_time_means_nothing_before_the_cohort_is_named_and_after_the_round_closed():
    assert play(begun(deadline_s=1), TimePassed(5))[1] == []
    state, _ = play(opened(deadline_s=1), answer([0, 1, 2, 3]))
    assert play(state, TimePassed(5))[1] == []


def test_a_cohort_smaller_than_the_need_is_never_assigned():
    state, orders = play(begun(need=3), Drawn(("a", "b")))
    assert orders[0][:6] == ("Fail", 1, 0, "train", 0, 3)
    assert orders[1:] == [("Pause", "too few usable updates")]
    assert not state.waves


def test_a_round_goes_on_without_refused_failed_and_lost_clients():
    state, _ = play(opened("abcde"), answer([0], REFUSED), answer([1], FAILED), answer([2], LOST))
    state, orders = play(state, answer([4, 3]))
    assert orders == [("Accept", 0, [3, 4], 0), ("Close", 1, "all answered")]
    tally = state.waves[0].tally()
    assert (tally["refused"], tally["failed"], tally["lost"], tally["accepted"]) == (1, 1, 1, 2)


def test_an_attempt_fails_as_soon_as_it_cannot_succeed():
    state, orders = play(opened(need=3), answer([0]), answer([1, 2], LOST))
    assert [order[0] for order in orders] == ["Accept", "Fail", "Pause"]
    assert orders[1][4:6] == (1, 3)
    assert play(state, answer([3]))[1] == [("Refuse", 0, [3], "late: the round has closed")]


def test_a_failed_round_is_drawn_again_under_another_name():
    state, _ = play(opened(), answer([0, 1, 2], LOST))
    state, orders = play(state, ResumeAsked())
    assert orders == [("Draw", 1, 1, 1, None)]
    state, orders = play(state, Drawn(("e", "f")), answer([0, 1], wave=1), Closed(1))
    assert orders[-1] == ("Draw", 2, 0, 2, None)


def test_a_pause_finishes_the_open_round_first():
    state, orders = play(opened(), answer([0]), PauseAsked())
    assert (state.status, orders[1:]) == (Status.PAUSING, [])
    state, orders = play(state, answer([1, 2, 3]), Closed(1))
    assert orders[-1] == ("Pause", "asked")
    assert (state.status, state.version) == (Status.PAUSED, 1)
    assert play(state, ResumeAsked())[1] == [("Draw", 2, 0, 1, None)]


def test_a_pause_between_draw_and_cohort_finishes_the_round_too():
    state, orders = play(begun(), PauseAsked(), Drawn(("a", "b")))
    assert orders == [("Assign", 0, 0, [0, 1])]
    _, orders = play(state, answer([0, 1]), Closed(1))
    assert orders[-1] == ("Pause", "asked")


def test_a_pause_that_is_taken_back_in_time_never_happened():
    _, orders = play(
        opened(), PauseAsked(), PauseAsked(), ResumeAsked(), answer([0, 1, 2, 3]), Closed(1)
    )
    assert orders[-1] == ("Draw", 2, 0, 1, None)


def test_a_pause_in_the_last_round_is_the_end():
    _, orders = play(opened(rounds=1), PauseAsked(), answer([0, 1, 2, 3]), Closed(1))
    assert orders[-1] == ("Finish", "done")


@pytest.mark.parametrize("before", [(), (answer([0]),), (answer([0, 1, 2, 3]),), (PauseAsked(),)])
def test_a_stop_ends_the_run_at_once(before):
    state, orders = play(opened(), *before, StopAsked())
    assert orders[-1] == ("Finish", "stopped")
    assert state.status is Status.STOPPED
    assert play(state, Closed(1), ResumeAsked(), TimePassed(9), Drawn(("a",)))[1] == []


def test_a_finished_run_refuses_what_still_comes():
    state, _ = play(opened(rounds=1), answer([0, 1, 2, 3]), Closed(1))
    facts = (answer([0]), PauseAsked(), ResumeAsked(), StopAsked(), Moved(2, 0), Drawn(("a",)))
    after, orders = play(state, *facts)
    assert orders == [("Refuse", 0, [0], "the run is finished")]
    assert after is state


def test_a_moved_head_drops_what_is_under_way_and_rests():
    state, _ = play(opened(), answer([0, 1, 2, 3]), Closed(1), Drawn(("a", "b")))
    state, orders = play(state, Moved(generation=2, version=0))
    assert orders == [("Pause", "moved to round 0")]
    assert (state.status, state.version, state.generation) == (Status.PAUSED, 0, 2)
    assert play(state, Drawn(("z",)))[1] == []
    assert play(state, ResumeAsked())[1] == [("Draw", 1, 0, 2, None)]


def test_a_move_of_an_earlier_generation_is_no_news():
    state, _ = play(opened(), Moved(generation=3, version=2))
    assert play(state, Moved(generation=3, version=0), Moved(generation=2, version=1)) == (
        state,
        [],
    )


def test_rounds_that_are_run_again_take_the_names_they_had():
    state, orders = start(
        stages=[Stage("train", 1)],
        rule=Synchronous(4),
        rounds=9,
        version=5,
        failed={6: 2, 7: 1, 9: 4},
    )
    assert plain(orders) == [("Draw", 6, 2, 0, 4)]
    state, orders = play(state, Drawn(("a",)), answer([0]), Closed(6))
    assert orders[-1] == ("Draw", 7, 1, 1, 4)
    state, orders = play(state, Moved(2, 5), ResumeAsked())
    assert orders[-1] == ("Draw", 6, 0, 1, 4)
    _, orders = play(state, Drawn(("a",)), answer([0], wave=1, generation=2), Closed(6))
    assert orders[-1] == ("Draw", 7, 0, 2, 4)


def test_a_run_whose_rounds_are_all_there_is_finished_from_the_start():
    state, orders = start(stages=[Stage("train", 2)], rule=Synchronous(4), rounds=5, version=5)
    assert (plain(orders), state.status) == ([("Finish", "done")], Status.FINISHED)


def test_a_version_that_nobody_ordered_is_an_error():
    closing, _ = play(opened(), answer([0, 1, 2, 3]))
    for state, version in ((opened(), 1), (closing, 2), (closing, 0)):
        with pytest.raises(ValueError, match=f"version {version} closed while round 1 is"):
            step(state, [Closed(version)])


def test_room_is_what_a_quorum_still_needs():
    state = opened("abcdef", need=4, on_quorum=True)
    assert room(state) == 4
    state, _ = play(state, answer([0, 1, 2]), answer([3], LOST))
    assert room(state) == 1
    assert room(opened()) is None
    assert room(begun(on_quorum=True)) is None


def test_protocols_that_make_no_version_are_refused():
    with pytest.raises(ValueError, match="payloads make the new version"):
        start(stages=[Stage("keys", 2, folds=False)], rule=Synchronous(None), rounds=1)
    with pytest.raises(ValueError, match="one stage"):
        start(stages=[Stage("a", 1), Stage("b", 1)], rule=Buffered(2, 2, 0), rounds=1)
