"""What a client remembers between rounds: the last states of a run, whole or not there."""

import numpy as np
import pytest

from flnb.client.shelf import KEEP, KEEP_RUNS, Shelf
from flnb.core import ClientHalf, ClientId, Local, RunId, Work
from flnb.core.errors import TaskError
from flnb.core.messages import Segment

CONTROL = {"control": np.arange(3, dtype=np.float32), "a/b": np.array([7], np.int64)}
BASE = b"d" * 32


def work(round_=1, run="run", **changes):
    half = ClientHalf("m:f", Local(epochs=1))
    usual = {"run": RunId(run), "seed": 1, "round": round_, "attempt": 0, "stage": "train"}
    rest = {"clients": (ClientId("a"),), "half": half, "weighting": "equal"}
    return Work(**{**usual, **rest, **changes})


def counted(n):
    return {"n": np.array([n], np.int64)}


@pytest.fixture
def shelf(tmp_path):
    return Shelf(tmp_path / "states")


def test_a_state_comes_back_as_it_was(shelf):
    shelf.put(work(1), BASE, CONTROL)
    found = shelf.newest(work(2))
    assert found.keys() == CONTROL.keys()
    for name, array in CONTROL.items():
        assert found[name].dtype == array.dtype
        assert np.array_equal(found[name], array)


def test_there_is_no_state_before_the_first_round_of_a_run(shelf):
    assert shelf.newest(work(1)) is None
    shelf.put(work(1), BASE, CONTROL)
    assert shelf.newest(work(2, run="another")) is None


def test_a_round_that_is_done_again_begins_from_the_state_before_it(shelf):
    for round_ in (2, 9, 10):
        shelf.put(work(round_), BASE, counted(round_))
    assert shelf.newest(work(10))["n"] == 9
    assert shelf.newest(work(10, attempt=1))["n"] == 9
    assert shelf.newest(work(12))["n"] == 10
    assert shelf.newest(work(2)) is None


def test_a_state_from_before_a_roll_back_is_not_read(shelf):
    shelf.put(work(3), BASE, CONTROL)
    assert shelf.newest(work(4, generation=2)) is None


LINE = (Segment(RunId("run"), 1, 0, 6), Segment(RunId("run"), 2, 6, None))
"""Of a run that was rolled back to round 6."""


def test_after_a_roll_back_the_newest_state_up_to_its_target_counts(shelf):
    for round_ in (4, 5, 7, 8):
        shelf.put(work(round_), BASE, counted(round_))
    now = work(7, generation=2, line=LINE)
    assert (shelf.newest(now)["n"], shelf.went_back_to(now)) == (5, 5)
    shelf.put(now, BASE, counted(70))
    later = work(9, generation=2, line=LINE)
    assert (shelf.newest(later)["n"], shelf.went_back_to(later)) == (70, None)
    undone = work(
        9, generation=3, line=(Segment(RunId("run"), 1, 0, 8), Segment(RunId("run"), 3, 8, None))
    )
    assert (shelf.newest(undone)["n"], shelf.went_back_to(undone)) == (8, 8)


def test_without_a_state_up_to_the_target_nothing_is_left_to_go_back_to(shelf):
    now = work(7, generation=2, line=LINE)
    assert shelf.went_back_to(now) is None  # it never had a state
    for round_ in (7, 8):
        shelf.put(work(round_), BASE, counted(round_))
    assert (shelf.newest(now), shelf.went_back_to(now)) == (None, 0)


def test_a_state_that_is_not_older_is_not_gone_back_to(shelf):
    shelf.put(work(5), BASE, counted(5))
    now = work(7, generation=2, line=LINE)
    assert (shelf.newest(now)["n"], shelf.went_back_to(now)) == (5, None)


def test_a_branch_goes_on_from_what_was_remembered_before_its_fork(shelf):
    for round_ in (4, 5, 6):
        shelf.put(work(round_), BASE, counted(round_))
    line = (Segment(RunId("run"), 1, 0, 5), Segment(RunId("branch"), 1, 5, None))
    now = work(6, run="branch", line=line)
    assert (shelf.newest(now)["n"], shelf.went_back_to(now)) == (5, 5)


def test_what_a_roll_back_left_behind_is_kept_beside_the_line_but_not_for_ever(shelf, tmp_path):
    for generation in (1, 2, 3):  # twice back to round 3
        line = (Segment(RunId("run"), 1, 0, 3), Segment(RunId("run"), generation, 3, None))
        for round_ in range(4, 14):
            now = work(round_, generation=generation, line=line[generation == 1 :])
            shelf.put(now, BASE, counted(round_))
    places = [path.name.split("-")[:2] for path in (tmp_path / "states").glob("*/*.npz")]
    kept = {(generation, round_) for generation in (2, 3) for round_ in range(9, 14)}
    assert {tuple(map(int, place)) for place in places} == kept


def test_only_the_last_states_and_runs_are_kept(shelf, tmp_path):
    for run in range(KEEP_RUNS + 2):
        for round_ in range(1, KEEP + 4):
            shelf.put(work(round_, run=f"run-{run}"), BASE, counted(round_))
    kept = sorted(len(list(folder.iterdir())) for folder in (tmp_path / "states").iterdir())
    assert kept == [KEEP] * KEEP_RUNS
    assert shelf.newest(work(KEEP + 9, run=f"run-{run}"))["n"] == KEEP + 3
    assert shelf.newest(work(2, run=f"run-{run}")) is None


def test_rounds_that_are_done_again_remember_what_they_did_this_time(shelf):
    for round_ in range(1, 10):
        shelf.put(work(round_), BASE, counted(round_))
    for round_ in range(1, 5):
        shelf.put(work(round_), BASE, counted(10 * round_))
        assert shelf.newest(work(round_ + 1))["n"] == 10 * round_
    assert shelf.newest(work(9))["n"] == 40


@pytest.mark.parametrize("first", [b"a", b"z"])
def test_a_round_that_is_done_again_from_another_version_replaces_its_state(shelf, first):
    shelf.put(work(3), first * 32, counted(1))
    shelf.put(work(3), b"k" * 32, counted(2))
    assert shelf.newest(work(4))["n"] == 2


@pytest.mark.parametrize("kind", [np.float64, np.int32, object])
def test_a_state_of_another_type_is_refused_by_name(shelf, kind):
    with pytest.raises(TaskError, match="'control' has type"):
        shelf.put(work(1), BASE, {"control": np.zeros(2, kind)})
    assert shelf.newest(work(2)) is None


def test_what_a_crash_left_half_written_is_not_read(shelf, tmp_path):
    shelf.put(work(1), BASE, counted(1))
    shelf.put(work(2), BASE, counted(2))
    newest = max((tmp_path / "states").glob("*/*.npz"), key=lambda path: path.name)
    newest.write_bytes(newest.read_bytes()[:100])
    newest.with_suffix(".partial").write_bytes(b"half")
    assert shelf.newest(work(3))["n"] == 1
