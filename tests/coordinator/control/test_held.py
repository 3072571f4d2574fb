"""A run that is held through a connection: which picture counts, and when a rest is believed."""

import asyncio
import json
from dataclasses import replace

import pytest

from flnb.coordinator.control import plain
from flnb.coordinator.control.held import Held
from flnb.core.errors import FLBaseError, InsufficientClientsError, StorageFullError
from flnb.core.view import Phase, RoundRow, RunView, Status
from flnb.testing.stores import sample_closing
from flnb.transport.v1 import control_pb2 as pb

VIEW = RunView("first", "main", 1, Status.RUNNING, rounds=9, round=3, phase=Phase.COLLECTING)


def reply(view, at=1, error=""):
    return pb.RunReply(id="r1", name="first", view=plain.view_to_json(view), at=at, error=error)


def note(view, at, error=""):
    return pb.WatchNote(run="r1", view=plain.view_to_json(view), at=at, error=error)


def in_loop(story):
    asyncio.run(asyncio.wait_for(story(), 10))


def test_an_older_picture_does_not_replace_a_newer_one_but_after_a_new_watch():
    async def story():
        held = Held(reply(VIEW), asyncio.get_running_loop())
        held.take(note(replace(VIEW, round=5), at=7))
        held.take(note(replace(VIEW, round=4), at=6))
        assert held.picture.view.round == 5
        held.renewed()  # another process, whose clock began later
        held.take(note(replace(VIEW, round=6), at=2))
        assert held.picture.view.round == 6

    in_loop(story)


def test_a_changed_plan_counts_although_a_note_of_a_round_overtook_it():
    async def story():
        held = Held(reply(VIEW), asyncio.get_running_loop())
        held.take(note(replace(VIEW, round=5), at=7))
        changed = reply(replace(VIEW, round=4), at=6)
        changed.plan = "rounds: 12"
        held.take(changed)
        assert (held.plan_yaml, held.picture.view.round) == ("rounds: 12", 5)

    in_loop(story)


def test_interrupted_is_shown_at_once_and_believed_only_if_it_stays(monkeypatch):
    async def story():
        held = Held(reply(VIEW), asyncio.get_running_loop())
        done = held.done
        for at in (2, 4):
            held.take(note(replace(VIEW, status=Status.INTERRUPTED), at))
            assert (held.picture.view.status, done.done()) == (Status.INTERRUPTED, False)
            if at == 2:
                held.take(note(VIEW, 3))
        held.renewed()
        held.take(note(replace(VIEW, status=Status.INTERRUPTED), 1))
        held.take(reply(replace(VIEW, status=Status.INTERRUPTED), 5))
        assert not done.done(), "told again it is as new as before"
        error = await asyncio.wait_for(asyncio.wrap_future(done), 5)
        assert "nobody has carried it on" in str(error)

    monkeypatch.setattr("flnb.coordinator.control.held.BELIEVED_AFTER_S", 0.05)
    in_loop(story)


def test_a_run_that_goes_on_is_waited_for_anew():
    async def story():
        held = Held(reply(replace(VIEW, status=Status.PAUSED)), asyncio.get_running_loop())
        before = held.done
        held.take(reply(VIEW, at=2))
        assert before.result(0) is None
        assert not held.done.done()
        held.take(note(replace(VIEW, status=Status.FINISHED), at=3))
        assert held.done.result(0) is None

    in_loop(story)


def test_who_waits_hears_why_nothing_more_is_heard():
    async def story():
        held = Held(reply(VIEW), asyncio.get_running_loop())
        held.lose(FLBaseError("gone"))
        assert str(held.done.result(0)) == held.picture.view.error == "gone"
        assert held.picture.view.status is Status.RUNNING  # as far as anybody knows

    in_loop(story)


@pytest.mark.parametrize(
    "error",
    [
        FLBaseError("plain", hint="do that"),
        InsufficientClientsError(7, 3, 8, {"lost": 5}, "c1 failed: x"),
        StorageFullError("the lab", 12),
    ],
)
def test_an_error_arrives_with_class_words_and_numbers(error):
    came = plain.error_from_json(plain.error_to_json(error))
    assert (type(came), str(came), vars(came)) == (type(error), str(error), vars(error))
    assert plain.error_from_json(plain.error_to_json(None)) is None


def test_a_picture_and_a_round_arrive_as_they_were():
    rows = (RoundRow(3, {"accuracy": 0.5}, 4, 5, 0, 0.1, "abc"),)
    view = replace(VIEW, rows=rows, curve=((1, 0.25), (3, 0.5)), headline="accuracy")
    assert plain.view_from_json(plain.view_to_json(view)) == view
    closing = sample_closing(3)
    came = plain.round_from_json(plain.round_to_json(closing, clients=True))
    assert (came.key, came.closed_at, came.accepted) == (closing.key, closing.closed_at, 3)
    assert came.assignments["client"] == list(closing.assignments["client"])
    hidden = plain.round_from_json(plain.round_to_json(closing, clients=False))
    assert (hidden.accepted, hidden.assignments["client"], hidden.updates["loss"]) == (3, [], [])


def test_what_a_newer_service_says_beside_is_left_out():
    view = replace(VIEW, rows=(RoundRow(3, {"accuracy": 0.5}, 4, 5, 0, 0.1, "abc"),))
    told = json.loads(plain.view_to_json(view)) | {"mood": "good"}
    told["rows"] = [row | {"weather": "fair"} for row in told["rows"]]
    assert plain.view_from_json(json.dumps(told)) == view
    closing = json.loads(plain.round_to_json(sample_closing(3), clients=True)) | {"mood": "good"}
    assert plain.round_from_json(json.dumps(closing).encode()).accepted == 3
