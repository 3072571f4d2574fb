"""A run is rolled back while clients with a memory of their own train: real processes, real kills."""

from pathlib import Path

import pytest

import flnb
from flnb.core.view import Status
from tests.e2e.remote_client import plan, task
from tests.e2e.victims import await_

SCRIPT = Path(__file__).parent / "remembering.py"
NAMES = ("c000", "c001")


class Study:
    """A coordinator, and two clients that come, go, and are killed."""

    def __init__(self, nursery, folder, coordinator):
        self.coordinator, self._nursery, self._folder = coordinator, nursery, folder
        self._invites = {name: coordinator.invite(name).text for name in NAMES}
        self.clients = {}

    def begin(self, name, failpoint=""):
        arguments = (SCRIPT, self._folder / name, self._invites[name], str(len(NAMES)))
        self.clients[name] = self._nursery.begin("script", *arguments, failpoint=failpoint)

    def said(self, name, words):
        log = self._folder / f"{name}.log"
        await_(lambda: words in log.read_text(), f"{name} never said {words!r}")


@pytest.fixture
def study(nursery, tmp_path):
    with flnb.Coordinator(tmp_path / "lab") as coordinator:
        study = Study(nursery, tmp_path, coordinator)
        yield study
        for client in study.clients.values():
            client.kill()


def told(run, number, name):
    """What the round says of a client, without what its update was like."""
    line = next(one for one in run.round(number).why().splitlines() if one.startswith(name))
    return line.partition(" used: ")[2]


def test_clients_go_back_with_their_run_and_say_so(study):
    for name in NAMES:
        study.begin(name)
    run = study.coordinator.run(plan(rounds=9, commit_every=1), task("softmax", 2)).wait(60)
    first = run.parameters_sha256
    run.rollback(to=6).apply("by three")
    run.resume().wait(60)
    assert run.parameters_sha256 == first  # as if nothing had happened, momentum and all
    assert [told(run, 7, name) for name in NAMES] == ["went back to its state of round 6"] * 2
    assert "state" not in run.round(8).why()
    run.rollback(to=1).apply("by eight, beyond what a client keeps")
    run.resume().wait(60)
    assert run.parameters_sha256 != first
    assert [told(run, 2, name) for name in NAMES] == ["no kept state: started anew"] * 2
    run.rollback(to="before-rollback-2").apply("the undo")
    assert run.parameters_sha256 == first


def test_an_update_of_an_older_generation_is_refused_and_told(study):
    study.begin("c000", failpoint="client-training:4")  # so that round 4 stays open
    study.begin("c001", failpoint="client-signed:4")
    run = study.coordinator.run(plan(rounds=6, commit_every=1), task("softmax", 2))
    for name in NAMES:
        study.clients[name].stopped()  # the update of the second is on its disk
    await_(lambda: run.rollback(to=1).seen == (1, 3), "round 3, beside which round 4 goes on")
    run.rollback(to=1).apply("while round 4 goes on")
    for name in NAMES:
        study.clients[name].kill()
        study.begin(name)
    words = "stale generation (it is of round 4 of generation 1, the run is at generation 2)"
    study.said("c001", f"the update for round 4 was refused: {words}")
    assert run.resume().wait(60).status is Status.FINISHED
    why = told(run, 2, "c001")
    assert why.startswith(f"an update was refused: {words}; went back to its state of round 1")
    assert told(run, 2, "c000") == "went back to its state of round 1"


def test_a_client_that_was_killed_and_came_back_is_told_of(study):
    study.begin("c000")
    study.begin("c001", failpoint="client-training:2")
    run = study.coordinator.run(plan(rounds=3, commit_every=1), task("softmax", 2))
    study.clients["c001"].stopped()
    study.clients["c001"].kill()
    study.begin("c001")
    assert run.wait(60).status is Status.FINISHED
    assert told(run, 2, "c001").startswith("its process ended and another came back after ")
    assert "came back" not in run.round(3).why()
    detail = {row["client"]: row["detail"] for row in run.events if row["round"] == 2}
    assert detail["c001"].startswith("accepted: its process ended")
