"""Events of a coordinator over real sockets: nothing missed, nothing twice, whoever is killed."""

import asyncio
import json
import re
import time
from dataclasses import replace

import pytest

from flnb.coordinator.control import telling
from flnb.coordinator.control.looks import shown_to
from flnb.coordinator.loop import LoopThread
from flnb.core.errors import TooManyCallsError
from flnb.core.ids import RunId
from flnb.core.view import RunView, Status
from flnb.store import HIDDEN, LabStore, Operation
from flnb.transport import PROTOCOL, Claims, ControlLink, Pass
from flnb.transport.tokens import Role
from flnb.transport.v1 import control_pb2 as pb


class Listener:
    """Collects events on a thread's loop until it is told to stop."""

    def __init__(self, thread, line, after=""):
        self.notes, self._pass, self._after, self._thread = [], Pass.parse(line), after, thread
        self._hearing = thread.submit(self._hear())

    async def _hear(self):
        link = ControlLink(self._pass.address, None, lambda: self._pass.token)
        request = pb.EventsRequest(protocol=PROTOCOL, version="x", after=self._after)
        try:
            async for raw in link.listen("Events", request):
                self.notes.append(pb.EventNote.FromString(raw))
        finally:
            await link.close()

    def of(self, kind):
        return [json.loads(note.data) for note in self.notes if note.type == kind]

    def durable(self):
        return [note for note in self.notes if note.type in {"round_complete", "operation"}]

    def stop(self):
        self._hearing.cancel()

    def is_heard(self):
        """Whether it is let in."""
        while not self._hearing.done():
            if self.notes:
                return True
            time.sleep(0.02)
        return False


@pytest.fixture
def listen(coord):
    made, thread = [], LoopThread("ears")
    thread.start()

    def start(role="operator", after=""):
        made.append(Listener(thread, coord.token("ears", role=role).text, after))
        return made[-1]

    yield start
    for one in made:
        one.stop()
    thread.call(all_over())
    thread.stop()


async def all_over():
    if others := asyncio.all_tasks() - {asyncio.current_task()}:
        await asyncio.wait(others)


def rounds(listener):
    """Each round that was told, once: a later telling only brings its commit."""
    return list(dict.fromkeys(told["round"] for told in listener.of("round_complete")))


def test_a_listener_hears_how_all_stands_and_then_each_round_in_order(
    coord, listen, plan, task, until
):
    heard = listen()
    until(lambda: heard.of("snapshot"))
    coord.run(plan, task, name="first").wait(60)
    until(lambda: len(rounds(heard)) == 4)
    assert rounds(heard) == [1, 2, 3, 4]
    assert heard.notes[0].type == "snapshot"
    snapshot, *_ = heard.of("snapshot")
    assert (snapshot["role"], snapshot["reset"], snapshot["clients"]) == ("operator", False, [])
    until(lambda: [told["verb"] for told in heard.of("operation")] == ["start"])
    until(lambda: heard.of("run_changed")[-1]["status"] == "finished")
    closed = coord.lab.run("first").round(4).closing
    told = heard.of("round_complete")[-1]
    assert told["parameters_sha256"] == closed.parameters_sha256
    assert told["metrics"]["train_loss"] > 0


def test_who_comes_back_with_any_cursor_hears_exactly_what_came_after_it(
    coord, listen, plan, task, until
):
    heard = listen()
    until(lambda: heard.notes)
    run = coord.run(plan, task, name="first").wait(60)
    run.alias("good", 4)
    until(lambda: len(heard.of("operation")) == 2 and len(rounds(heard)) == 4)
    durable = heard.durable()
    last = durable[-1].cursor
    for index in range(len(durable)):
        again = listen(after=durable[index].cursor)
        until(lambda again=again: again.of("run_changed") and again.notes[-1].cursor == last)
        assert again.durable() == durable[index + 1 :]
        assert again.of("snapshot") == []
        assert again.of("run_changed")[0]["status"] == "finished"


@pytest.mark.parametrize(
    ("after", "why"),
    [
        ("999999.0.{lab}", "ahead of this lab"),
        ("0.0.ffff", "another lab"),
        ("yesterday", "not a cursor"),
    ],
)
def test_a_cursor_that_means_nothing_here_begins_anew_and_says_why(
    coord, listen, until, after, why
):
    coord.listen()
    heard = listen(after=after.format(lab=coord.lab.id))
    until(lambda: heard.notes)
    snapshot, *_ = heard.of("snapshot")
    assert snapshot["reset"]
    assert why in snapshot["why"]


def test_a_viewer_hears_of_no_client_and_no_words_that_may_quote_one(
    coord, listen, plan, task, until
):
    heard = listen("viewer")
    until(lambda: heard.notes)
    run = coord.run(plan.replace(commit_every=1), task, name="first").wait(60)
    run.rollback(2).apply("c03 said so")
    until(lambda: len(heard.of("operation")) == 2)
    told = heard.of("operation")[-1]
    assert (told["actor"], told["reason"]) == ("somebody", HIDDEN)
    assert told["takes_back"] == {"generation": 1, "after": 2, "until": 4}
    assert heard.of("snapshot")[0]["clients"] is None
    told = "".join(note.data for note in heard.notes)
    assert "said so" not in told
    assert not re.search(r'"c00\d"', told)


def test_rounds_that_another_plan_takes_back_are_told(coord, listen, plan, task, until):
    heard = listen()
    until(lambda: heard.notes)
    closed = coord.run(plan.replace(commit_every=4), task, name="first").wait(60).round(4).closing
    store = coord.lab.store.state
    for number in (5, 6):
        store.close_round(replace(closed, round=number, snapshot=None))
    until(lambda: rounds(heard) == [1, 2, 3, 4, 5, 6])
    store.set_plan(closed.run, plan.to_yaml(), "other", forget_after=4)
    until(lambda: heard.of("rounds_taken_back"))
    assert heard.of("rounds_taken_back")[0]["after"] == 4
    again = listen(after=heard.durable()[0].cursor)
    until(lambda: again.of("rounds_taken_back"))
    assert rounds(again) == [1, 2, 3, 4]


def test_what_another_process_writes_is_heard_without_a_picture(coord, listen, plan, task, until):
    coord.run(plan, task, name="first").wait(60)
    heard = listen()
    until(lambda: heard.notes)
    other = LabStore.open(coord.lab.path)
    other.state.append_operation(Operation(other.clock.now(), "dr-kim", "note", None, "by hand"))
    other.close()
    until(lambda: [told["actor"] for told in heard.of("operation")] == ["dr-kim"])


def test_one_person_listens_only_so_often_however_many_connections_he_opens(coord, listen, until):
    heard = [listen("viewer") for _ in range(16)]
    until(lambda: all(one.notes for one in heard))
    late = listen("viewer")
    until(late._hearing.done)
    with pytest.raises(TooManyCallsError, match="ears listens 16 times already"):
        late._hearing.result()
    heard.pop().stop()
    until(lambda: listen("viewer").is_heard())  # who left is not counted for ever


def test_a_viewer_sees_no_word_that_may_quote_a_client_whichever_way_he_looks():
    view = RunView("first", "main", 1, Status.PAUSED, 4, error="c001: my data", noted="c001 is odd")
    words = {}
    for role in (Role.VIEWER, Role.OPERATOR):
        claims = Claims("ada", role, "t", 0.0, "k", "lab")
        shown, sees = shown_to(claims, view), role is Role.OPERATOR
        ((_, _, told),) = telling.pictures(RunId("r"), None, view, clients=sees)
        assert (told["error"], told["noted"]) == (shown.error, shown.noted)
        words[role] = {shown.error, shown.noted}
    assert words == {Role.VIEWER: {HIDDEN}, Role.OPERATOR: {view.error, view.noted}}
