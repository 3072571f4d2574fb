"""A run that has ended leaves nothing on the disk: not when it is stopped, not when it rested."""

import asyncio

import numpy as np
import pytest

import flnb
from flnb.core.view import Status
from flnb.tensors import Spool, Update
from flnb.transport import Link
from flnb.transport.v1 import federation_pb2 as pb
from tests.abuse.served import honest
from tests.abuse.test_two_updates import door, hear, offer, only_offer
from tests.coordinator.remote.test_participants import LARGE
from tests.e2e.remote_client import plan, task


def staged(lab, run):
    """Stage an update of a run, as if one had come in before the coordinator was killed."""
    update = Update(LARGE, np.zeros(LARGE.n_values, np.float32), np.zeros(0, np.int64))
    return Spool(lab.path / "spool", 2**30).stage(f"{run}/1/1/0/train/a", update).path


@pytest.mark.parametrize("rests", [False, True])
def test_what_comes_for_a_run_that_was_stopped_is_not_wanted(tmp_path, rests):
    learning = task("softmax", 2)
    with flnb.Coordinator(tmp_path / "lab") as coordinator:
        coordinator.listen()
        run = coordinator.run(plan(rounds=1, invite=1), learning)

        async def work():
            async with honest(door(coordinator), "a", layout=learning.layout.hash) as client:
                assignment = await hear(client, "assignment")
                if rests:
                    await asyncio.to_thread(coordinator.give_up, run.id)
                await asyncio.to_thread(lambda: run.stop().wait(10))
                assert "has ended" in (await hear(client, "withdrawn")).reason
                verdict, _ = await offer(client, assignment, 1.0)
                assert verdict.kind == pb.Verdict.SETTLED

        asyncio.run(work())


def test_an_update_that_is_ready_before_its_run_goes_on_again_is_kept_by_its_client(tmp_path):
    learning, lab = task("softmax", 2), tmp_path / "lab"

    async def first(coordinator):
        async with honest(door(coordinator), "a", layout=learning.layout.hash) as client:
            return client, await hear(client, "assignment")

    async def second(coordinator, client, assignment):
        client.link = Link(coordinator.listen())
        await client.sign_in()
        await client.enter(learning.layout.hash)
        await only_offer(client, assignment, 1.0)
        await asyncio.sleep(0.5)
        await asyncio.to_thread(coordinator.lab.resume, "r", task=learning)
        note = await anext(aiter(client.call))
        assert note.HasField("assignment"), "by a verdict it would forget the update"
        assert (await offer(client, note.assignment, 1.0))[0].kind == pb.Verdict.RECEIVED
        await client.link.close()

    with flnb.Coordinator(lab) as coordinator:
        coordinator.listen()
        coordinator.run(plan(rounds=1, invite=1), learning, name="r")
        client, assignment = asyncio.run(first(coordinator))
    with flnb.Coordinator(lab) as coordinator:
        asyncio.run(second(coordinator, client, assignment))


def test_a_coordinator_that_listens_removes_what_ended_runs_left_on_the_disk(tmp_path):
    with flnb.Coordinator(tmp_path / "lab") as coordinator:
        coordinator.simulate(task("softmax", 2), workers=0)
        runs = [coordinator.run(plan(rounds=1), task("softmax", 2)) for _ in range(2)]
        for run in runs:
            run.wait(20)
        coordinator.lab.store.state.set_status(runs[1].id, Status.PAUSED)
        files = [staged(coordinator.lab, run.id) for run in runs]
        coordinator.listen()
        assert [file.exists() for file in files] == [False, True]
