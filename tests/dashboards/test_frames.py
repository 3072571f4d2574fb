"""Frames of closed rounds: what is made of them is made once for everybody, and again when they grew."""

from flnb.core.ids import RunId
from flnb.dashboards.frames import Frames
from flnb.dashboards.queries import NOTHING


def frames(last):
    rest = (NOTHING.rounds, NOTHING.metrics, NOTHING.band, NOTHING.events, NOTHING.unused, "")
    return Frames(RunId("r"), "main", 1, last, *rest)


def test_what_is_made_of_frames_is_made_once_for_all_who_show_it():
    made, shared = [], frames(3)
    for _ in range(2):
        assert shared.made.once("events", lambda: made.append("events") or "a table") == "a table"
    assert shared.made.once(("series", "loss"), lambda: "a line") == "a line"
    assert made == ["events"]


def test_frames_that_grew_make_it_again():
    before = frames(3)
    before.made.once("events", lambda: "three rounds")
    assert before.grown(frames(4)).made.once("events", lambda: "four rounds") == "four rounds"
