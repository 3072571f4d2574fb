"""What a client does with the notes of its coordinator."""

from __future__ import annotations

import asyncio

import pytest
from torch import nn

from flnb import __version__
from flnb.core import Local
from flnb.datasets import Split
from flnb.tasks import Task
from flnb.transport import PROTOCOL
from flnb.transport.v1 import federation_pb2 as pb
from tests.client.coordinators import (
    CLIENT,
    FakeClient,
    assignment,
    checked,
    play,
    running,
    until,
    verdict,
)


def test_a_client_says_who_it_is_and_what_it_trains(task, coordinator, home):
    async def scene():
        async with running(FakeClient(coordinator, task, home)):
            hello = (await coordinator.line()).hello
        assert (hello.protocol, hello.version, hello.task) == (PROTOCOL, __version__, task.name)
        assert hello.layout_hash == task.layout.hash
        assert hello.code_digest == task.fingerprint().code
        assert hello.n_examples == len(task.data.train)
        assert not hello.held

    play(scene)


def test_work_reaches_the_training_as_the_plan_has_it(task, coordinator, home, training):
    async def scene():
        async with running(FakeClient(coordinator, task, home, train=training)):
            line = await coordinator.line()
            package = coordinator.keep(task.initial_model(1))
            line.say(assignment=assignment(package, attempt=2, deadline_s=9.0, federated=True))
            await line.hear("offer")
        (work,) = training.works
        assert work.clients == (CLIENT,)
        assert (work.run, work.round, work.attempt, work.stage) == ("run", 3, 2, "train")
        assert (work.seed, work.generation, work.weighting) == (7, 1, "examples")
        assert (work.federated, work.deadline_s) == (True, 9.0)
        assert work.half.local == Local(lr=0.05, momentum=0.9, batch_size=8)

    play(scene)


def test_an_envelope_names_assignment_base_and_update_and_is_signed(
    task, coordinator, home, training
):
    async def scene():
        async with running(FakeClient(coordinator, task, home, train=training)):
            line = await coordinator.line()
            package = coordinator.keep(task.initial_model(1))
            line.say(assignment=(work := assignment(package)))
            offer = await line.hear("offer")
        envelope = checked(offer, coordinator.public)
        assert envelope.assignment == work.id
        assert envelope.base_digest == package.manifest.digest
        assert envelope.update.n_bytes == len(offer.inline) == package.manifest.n_bytes
        assert (envelope.n_examples, envelope.loss, envelope.train_s) == (5, 0.5, 0.1)

    play(scene)


def test_an_update_is_kept_until_its_round_is_saved(task, coordinator, home, training):
    client = FakeClient(coordinator, task, home, train=training)

    async def scene():
        async with running(client):
            line = await coordinator.line()
            line.say(assignment=(work := assignment(coordinator.keep(task.initial_model(1)))))
            await line.hear("offer")
            line.say(verdict=verdict(work, pb.Verdict.RECEIVED))
            await until(lambda: client.said("received"))
            assert len(list((home / "outbox").iterdir())) == 1
            line.say(verdict=verdict(work, pb.Verdict.SETTLED))
            await until(lambda: client.said("settled"))
            assert not list((home / "outbox").iterdir())

    play(scene)


def test_a_refusal_is_told_with_its_reason_and_nothing_is_kept(task, coordinator, home, training):
    client = FakeClient(coordinator, task, home, train=training)

    async def scene():
        async with running(client):
            line = await coordinator.line()
            line.say(assignment=(work := assignment(coordinator.keep(task.initial_model(1)))))
            await line.hear("offer")
            line.say(verdict=verdict(work, pb.Verdict.REFUSED, "3 values are NaN"))
            await until(lambda: client.said("refused"))
        assert "3 values are NaN" in client.said("refused")[0]
        assert not list((home / "outbox").iterdir())

    play(scene)


def test_a_signed_update_is_offered_again_without_training(task, coordinator, home, training):
    package = coordinator.keep(task.initial_model(1))
    work = assignment(package)
    offers = []

    async def session(expected_held):
        async with running(FakeClient(coordinator, task, home, train=training)):
            line = await coordinator.line()
            assert list(line.hello.held) == expected_held
            line.say(assignment=work)
            offers.append(await line.hear("offer"))
            line.say(assignment=work)
            offers.append(await line.hear("offer"))

    async def scene():
        await session([])
        await session([work.id])

    play(scene)
    assert len(training.works) == 1
    assert offers == [offers[0]] * 4


def test_an_update_of_another_base_is_trained_again(task, coordinator, home, training):
    async def scene():
        async with running(FakeClient(coordinator, task, home, train=training)):
            line = await coordinator.line()
            for seed in (1, 2):
                package = coordinator.keep(task.initial_model(seed))
                line.say(assignment=assignment(package))
                envelope = checked(await line.hear("offer"), coordinator.public)
                assert envelope.base_digest == package.manifest.digest
        assert len(training.works) == 2

    play(scene)


def test_a_training_outlives_its_session(task, coordinator, home, training):
    training.go_on.clear()
    work = assignment(coordinator.keep(task.initial_model(1)))

    async def scene():
        async with running(FakeClient(coordinator, task, home, train=training)):
            line = await coordinator.line()
            line.say(assignment=work)
            await until(lambda: training.works)
            line.end()
            line = await coordinator.line()
            line.say(assignment=work)
            await line.silent("offer")
            training.go_on.set()
            assert checked(await line.hear("offer"), coordinator.public).assignment == work.id
        assert len(training.works) == 1

    play(scene)


def works():
    """Whether a client on this loop trains, or puts away what it trained."""
    return any(task.get_name() == "flnb-client-work" for task in asyncio.all_tasks())


def test_what_was_finished_while_nobody_was_there_is_held_at_the_next_hello(
    task, coordinator, home, training
):
    training.go_on.clear()
    work = assignment(coordinator.keep(task.initial_model(1)))
    client = FakeClient(coordinator, task, home, train=training)

    async def scene():
        async with running(client):
            line = await coordinator.line()
            line.say(assignment=work)
            await until(lambda: training.works)
            coordinator.tokens.clear()  # the next session is refused once, as too old
            line.end()
            training.go_on.set()
            await until(lambda: list((home / "outbox").glob("*.signed")) and not works())
            coordinator.tokens.add("token-1")
            line = await coordinator.line()
            assert list(line.hello.held) == [work.id]
            line.say(assignment=work)
            await line.hear("offer")
        assert len(training.works) == 1

    play(scene)


def test_work_that_is_withdrawn_gives_nothing(task, coordinator, home, training):
    training.go_on.clear()
    client = FakeClient(coordinator, task, home, train=training)
    package = coordinator.keep(task.initial_model(1))
    first, second = assignment(package), assignment(package, round=4)

    async def scene():
        async with running(client):
            line = await coordinator.line()
            line.say(assignment=first)
            await until(lambda: training.works)
            line.say(assignment=second)
            line.say(withdrawn={"assignment": first.id, "reason": "round 3 has closed"})
            line.say(withdrawn={"assignment": second.id, "reason": "round 4 has closed"})
            await until(lambda: len(client.said("withdrawn")) == 2)
            training.go_on.set()
            await line.silent("offer")
            assert not list((home / "outbox").glob("*.signed"))
        assert "round 3 has closed" in client.said("withdrawn")[0]
        assert len(training.works) == 1

    play(scene)


def test_work_that_is_withdrawn_and_wanted_again_is_answered(task, coordinator, home, training):
    training.go_on.clear()
    client = FakeClient(coordinator, task, home, train=training)
    package = coordinator.keep(task.initial_model(1))
    first, second = assignment(package), assignment(package, round=4)

    async def scene():
        async with running(client):
            line = await coordinator.line()
            line.say(assignment=first)
            await until(lambda: training.works)
            for work in (first, second):
                line.say(assignment=work)
                line.say(withdrawn={"assignment": work.id})
                line.say(assignment=work)
            await until(lambda: len(client.said("withdrawn")) == 2)
            training.go_on.set()
            numbers = [
                checked(await line.hear("offer"), coordinator.public).assignment.round
                for _ in range(2)
            ]
            assert numbers == [3, 4]
        assert len(training.works) == 2

    play(scene)


def test_work_of_two_runs_is_done_one_after_the_other(task, coordinator, home, training):
    package = coordinator.keep(task.initial_model(1))

    async def scene():
        async with running(FakeClient(coordinator, task, home, train=training)):
            line = await coordinator.line()
            for run in ("a", "b"):
                line.say(assignment=assignment(package, run=run))
            runs = [
                checked(await line.hear("offer"), coordinator.public).assignment.run
                for _ in range(2)
            ]
        assert runs == ["a", "b"]

    play(scene)


class Grumpy(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(6, 3)

    def forward(self, batch):
        if self.training:
            raise ArithmeticError("the scanner is broken")
        return self.layer(batch)


def test_a_failing_task_is_reported_with_the_lines_of_its_owner(task, coordinator, home):
    grumpy = Task(
        model=Grumpy, data=task.data, split=Split.of({CLIENT: range(9)}), metrics=(), name="grumpy"
    )
    client = FakeClient(coordinator, grumpy, home)

    async def scene():
        async with running(client):
            line = await coordinator.line()
            work = assignment(coordinator.keep(grumpy.initial_model(1)))
            for _ in range(2):  # the second time it is known
                line.say(assignment=work)
                failure = await line.hear("failure")
                assert failure.assignment == work.id
                assert "in forward" in failure.traceback
                assert "ArithmeticError: the scanner is broken" in failure.traceback
                assert "flnb/training" not in failure.traceback
        assert len(client.said("failed")) == 1

    play(scene)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"entry": "os:system"}, "does not run 'os:system'"),
        ({"local": Local(), "entry": "flnb.training:no_such"}, "no local training"),
        ({"id": pb.AssignmentId(run="run", client="other")}, "not other"),
        ({"base": pb.Manifest(n_bytes=3, hashes=bytes(32))}, "version has 3 bytes"),
    ],
)
def test_work_that_cannot_be_done_here_is_declined_with_the_reason(
    task, coordinator, home, changes, why
):
    async def scene():
        async with running(FakeClient(coordinator, task, home)):
            line = await coordinator.line()
            line.say(assignment=assignment(coordinator.keep(task.initial_model(1)), **changes))
            assert why in (await line.hear("failure")).traceback

    play(scene)


def test_a_setting_that_this_client_does_not_know_is_named(task, coordinator, home):
    async def scene():
        async with running(FakeClient(coordinator, task, home)):
            line = await coordinator.line()
            work = assignment(coordinator.keep(task.initial_model(1)))
            work.local = b'{"lr": 0.1, "sharpness": 2}'
            line.say(assignment=work)
            assert "sharpness" in (await line.hear("failure")).traceback

    play(scene)


def test_a_client_of_which_something_is_expected_finds_out_that_its_line_is_dead(
    task, coordinator, home, training, monkeypatch
):
    monkeypatch.setattr("flnb.client.session._SILENT_S", 0.2)
    training.go_on.clear()

    async def scene():
        client = FakeClient(coordinator, task, home, train=training)
        async with running(client):
            line = await coordinator.line(alive_every_s=0.05)
            line.say(assignment=assignment(coordinator.keep(task.initial_model(1))))
            for _ in range(3):
                await line.hear("alive")
                line.say(alive=pb.Alive())  # it answers, and then no more
            again = await coordinator.line()
            assert again is not line
            assert "has not been heard of for 0" in client.said("reconnecting")[0]
            training.go_on.set()
            await again.hear("offer")

    play(scene)


def test_a_client_says_that_it_is_alive_while_something_is_expected_of_it(
    task, coordinator, home, training
):
    training.go_on.clear()

    async def scene():
        async with running(FakeClient(coordinator, task, home, train=training)):
            line = await coordinator.line(alive_every_s=0.05)
            await line.silent("alive")
            work = assignment(coordinator.keep(task.initial_model(1)))
            line.say(assignment=work)
            await until(lambda: training.works)
            for _ in range(3):
                alive = await line.hear("alive")
            assert alive.working_on == work.id
            training.go_on.set()
            await line.hear("offer")
            assert not (await line.hear("alive")).HasField("working_on")

    play(scene)


def test_a_note_that_is_not_understood_is_passed_over(task, coordinator, home):
    async def scene():
        async with running(FakeClient(coordinator, task, home)):
            line = await coordinator.line()
            line._out.put_nowait(pb.CoordinatorNote())
            line.say(renew=pb.Renew(nonce=b"again"))
            await line.hear("proof")

    play(scene)
