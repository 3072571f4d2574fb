"""`kill -9` of the client or the coordinator while a client changes its key: it has one that is good."""

from pathlib import Path

import pytest

import flnb
from flnb.coordinator import Lab
from flnb.core.view import Status
from flnb.transport.identity import Identity
from tests.e2e.remote_client import plan, task
from tests.faults.test_kills import SCRIPT, SMALL, ended

pytestmark = pytest.mark.timeout(300)

ROTATING = str(Path(__file__).parent / "rotating.py")
NAME = "c000"


def begun_client(nursery, folder, invite):
    """The client, in a process of its own, in the home `folder/c000`."""
    return nursery.begin("script", SCRIPT, folder, SMALL, "1", "0", invite)


def joined(nursery, folder):
    """A lab with one client that has joined and is gone: its invite."""
    with flnb.Coordinator(folder / "lab") as coordinator:
        invite = coordinator.invite(NAME).text
        assert trains(nursery, coordinator, folder, invite)
    return invite


def trains(nursery, coordinator, folder, invite):
    """Whether the client comes and takes part."""
    with ended(begun_client(nursery, folder, invite)):
        run = coordinator.run(plan(rounds=1, invite=1), task(SMALL, 1)).wait(60)
    return run.status is Status.FINISHED


def keys(folder):
    """The key that speaks for the client, and those in its home."""
    record = Lab.open(folder / "lab").store.state.client(NAME)
    files = (folder / NAME / "identity.pem", folder / NAME / "next.pem")
    return record.public_key, [Identity.load(file).public for file in files if file.exists()]


@pytest.mark.parametrize("place", ["client-key-made", "client-key-bound"])
def test_a_client_killed_while_it_changes_its_key_comes_back_with_the_new_one(
    nursery, tmp_path, place
):
    invite = joined(nursery, tmp_path)
    before, _ = keys(tmp_path)
    with flnb.Coordinator(tmp_path / "lab") as coordinator:
        coordinator.listen()
        victim = nursery.begin(
            "script", ROTATING, "rotate", invite, tmp_path / NAME, failpoint=place
        )
        victim.stopped()
        victim.kill()
        assert (keys(tmp_path)[0] == before) == (place == "client-key-made")
        assert trains(nursery, coordinator, tmp_path, invite)
    bound, at_home = keys(tmp_path)
    assert bound != before
    assert at_home == [bound]


def test_a_coordinator_killed_once_a_key_is_bound_lets_the_client_come_with_it(nursery, tmp_path):
    invite = joined(nursery, tmp_path)
    before, _ = keys(tmp_path)
    service = nursery.begin("script", ROTATING, "serve", tmp_path / "lab", failpoint="key-bound")
    client = nursery.begin("script", ROTATING, "rotate", invite, tmp_path / NAME)
    with ended(client):
        service.stopped()
        service.kill()
    bound, at_home = keys(tmp_path)
    assert at_home == [before, bound]
    with flnb.Coordinator(tmp_path / "lab") as coordinator:
        coordinator.listen()
        assert trains(nursery, coordinator, tmp_path, invite)
    assert keys(tmp_path) == (bound, [bound])
