"""Room for transfers: more while others help, and no more while the coordinator is full."""

import pytest

from flnb.transport import room
from flnb.transport.room import Room


def rooms(speeds, few=8, own=None):
    """Room after each half second in which so many megabytes a second were moved, all of it held."""
    made, moved, at, seen = Room(few), 0, 0.0, []
    made.look(at, 0, 0, few)
    for mb_per_s in speeds:
        for _ in range(2):
            at, moved = at + room.LOOK_S, moved + mb_per_s * 1e6 * room.LOOK_S
            made.look(at, int(moved), int(moved) if own is None else own, made.chunks)
        seen.append(made.chunks)
    return seen


@pytest.mark.parametrize(
    ("speeds", "room_then"),
    [
        ([20, 200, 400], [16, 32, 64]),  # each time the others helped
        ([20, 200, 210, 200], [16, 32, 16, 16]),  # the last ones did not
        ([300, 300, 300], [8, 8, 8]),  # the coordinator is full
        ([50, 50, 50, 50], [16, 16, 16, 16]),  # its line is
        ([50, 50, 30, 30], [16, 16, 16, 32]),  # those who filled it have gone
        ([0.2, 0.2, 0.2], [16, 32, 64]),  # nearly all stand still
        ([2, *[2.5] * 22], [*[16] * 21, 24, 24]),  # slow ones, and who knows what is behind them
    ],
)
def test_there_is_more_room_while_others_help(speeds, room_then):
    assert rooms(speeds) == room_then


def test_a_full_line_is_not_taken_for_many_slow_ones():
    assert rooms([50] * 120)[-1] < 16 + 8 * 60 / 10, "a minute, and a few more each ten seconds"


def test_there_is_more_room_beside_those_of_one_way_that_stand_still():
    assert rooms([300, 300], own=0) == [16, 32]


def test_a_moment_in_which_the_disk_was_busy_and_one_in_which_nothing_ran_make_no_room():
    made, moved = Room(8), 0
    made.look(0.0, 0, 0, 8)
    for at, mb in ((0.25, 75), (0.5, 75), (0.75, 5), (1.0, 75), (21.0, 75)):
        moved += mb * 1_000_000
        made.look(at, moved, moved, 8)
    assert made.chunks == 8
