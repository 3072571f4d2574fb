"""A run that has ended leaves nothing on the disk: not when it is stopped, not when it rested."""

import asyncio

import numpy as np
import pytest

import flnb
from flnb.core.view import Status
from flnb.tensors import Spool, Update
from tests.abuse.served import honest
from tests.abuse.test_two_updates import door, hear, offer
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
                assert "is not open" in verdict.reason

        asyncio.run(work())


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
