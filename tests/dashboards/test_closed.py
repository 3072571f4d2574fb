"""What was closed of a run, in one question: what a notebook is told, piece by piece."""

import pytest

from flnb.dashboards import queries
from flnb.dashboards.closed import closed
from flnb.dashboards.frames import Frames
from flnb.dashboards.queries import NOTHING
from flnb.store.select_only import MAX_CHARACTERS


class Counted:
    """A source, and what it was asked."""

    def __init__(self, source):
        self._source, self.asked = source, []

    def run(self, run):
        return self._source.run(run)

    def ask(self, query, **options):
        self.asked.append(query)
        return self._source.ask(query, **options)


@pytest.fixture
def source(target):
    return Counted(target.stored("operator"))


@pytest.fixture
def run(lab):
    return lab.run("finished")


def test_what_was_closed_is_what_a_notebook_shows(source, run):
    found = closed(source, queries.line(source, run.id))
    assert found.rounds.equals(run.rounds.df())
    assert found.metrics.equals(run.metrics.df())
    assert (found.last, len(source.asked)) == (4, 1)


def test_only_what_came_since_is_told(source, run):
    line = queries.line(source, run.id)
    found, all_of_it = closed(source, line, after=2), closed(source, line)
    assert found.rounds["round"].to_list() == [3, 4]
    assert set(found.events["round"]) == set(found.band["round"]) == {3, 4}
    assert all_of_it.rounds.iloc[2:].reset_index(drop=True).equals(found.rounds)


def test_of_nothing_new_the_columns_are_told(source, run):
    found = closed(source, queries.line(source, run.id), after=4)
    assert (found.last, len(found.rounds), len(found.unused)) == (4, 0, 0)
    assert set(NOTHING.rounds) <= set(found.rounds)


def test_the_band_holds_the_clients_in_the_middle(source, run):
    band = closed(source, queries.line(source, run.id)).band
    assert ((band["low"] <= band["mid"]) & (band["mid"] <= band["high"])).all()


def test_viewers_ask_of_no_client(target, run):
    viewer = target.stored("viewer")
    found = closed(viewer, queries.line(viewer, run.id), clients=False)
    assert (found.last, len(found.band), len(found.unused)) == (4, 0, 0)


def test_frames_ask_once_for_what_came_since(source, run):
    frames = Frames.after(None, source, run.id, run.view, clients=True)
    assert (frames.round, len(source.asked)) == (4, 1)
    assert Frames.after(frames, source, run.id, run.view, clients=True) is frames
    assert len(source.asked) == 1


def test_a_line_of_many_roll_backs_can_still_be_asked_for(source, run):
    line = queries.line(source, run.id)
    long = f"{line} AND ({' OR '.join([line] * (MAX_CHARACTERS // 2 // len(line)))})"
    assert closed(source, long).last == 4
