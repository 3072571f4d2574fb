"""`kill -9` of the client or the coordinator while a client changes its key: it has one that is good."""

import asyncio
from pathlib import Path

import pytest

import flnb
from flnb.client.state import Home, Joined
from flnb.coordinator import Lab
from flnb.transport import Identity, Link
from flnb.transport.invite import Invite, token_hash
from tests.e2e.victims import await_
from tests.faults.test_kills import SCRIPT, SMALL, ended

pytestmark = pytest.mark.timeout(300)

ROTATING = str(Path(__file__).parent / "rotating.py")
NAME = "c000"


async def join(invite, home):
    """Join as a client does, and be gone again."""
    link, held = Link(invite.address), Home(home)
    try:
        await link.join(invite.token, held.identity)
        held.remember(Joined(invite.client, invite.lab, (token_hash(invite.token),)))
    finally:
        held.release()
        await link.close()


def joined(folder):
    """A lab with one client that has joined: its invite."""
    with flnb.Coordinator(folder / "lab") as coordinator:
        invite = coordinator.invite(NAME).text
        asyncio.run(join(Invite.parse(invite), folder / NAME))
    return invite


def check_it_comes(nursery, coordinator, folder, invite):
    """The client, in a process of its own, has a session."""

    def is_here():
        return [row.state for row in coordinator.clients] == ["idle"]

    with ended(nursery.begin("script", SCRIPT, folder, SMALL, "1", "0", invite)):
        await_(is_here, "it does not come")


def keys(folder):
    """The key that speaks for the client, and those in its home."""
    record = Lab.open(folder / "lab").store.state.client(NAME)
    files = (folder / NAME / "identity.pem", folder / NAME / "next.pem")
    return record.public_key, [Identity.load(file).public for file in files if file.exists()]


@pytest.mark.parametrize("place", ["client-key-made", "client-key-bound"])
def test_a_client_killed_while_it_changes_its_key_comes_back_with_the_new_one(
    nursery, tmp_path, place
):
    invite = joined(tmp_path)
    before, _ = keys(tmp_path)
    with flnb.Coordinator(tmp_path / "lab") as coordinator:
        coordinator.listen()
        victim = nursery.begin(
            "script", ROTATING, "rotate", invite, tmp_path / NAME, failpoint=place
        )
        victim.stopped()
        victim.kill()
        assert (keys(tmp_path)[0] == before) == (place == "client-key-made")
        check_it_comes(nursery, coordinator, tmp_path, invite)
    bound, at_home = keys(tmp_path)
    assert bound != before
    assert at_home == [bound]


def test_a_coordinator_killed_once_a_key_is_bound_lets_the_client_come_with_it(nursery, tmp_path):
    invite = joined(tmp_path)
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
        check_it_comes(nursery, coordinator, tmp_path, invite)
    assert keys(tmp_path) == (bound, [bound])
