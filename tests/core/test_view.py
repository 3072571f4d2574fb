"""The picture of a run that everything draws from."""

import pytest

from flnb.core import RunView, Status


def view(**changes):
    settings = {
        "name": "quiet-otter",
        "branch": "main",
        "generation": 1,
        "status": Status.RUNNING,
        "rounds": 100,
        **changes,
    }
    return RunView(**settings)


def test_what_is_left_follows_the_present_pace():
    assert view(round=42, seconds_a_round=8.0).left_s == 58 * 8.0


def test_nothing_is_left_of_a_run_that_went_further_than_planned():
    assert view(round=120, seconds_a_round=8.0).left_s == 0.0


@pytest.mark.parametrize("status", list(Status))
def test_a_run_is_over_unless_it_moves_by_itself(status):
    assert status.over == (status not in {Status.RUNNING, Status.WAITING, Status.PAUSING})


def test_a_view_is_replaced_and_never_changed():
    with pytest.raises(AttributeError):
        view().round = 3
