"""Who is here and who is invited, as a person sees it; and how an invite is taken back."""

import asyncio
import threading

import pytest

import flnb
from flnb.coordinator import clients_of
from flnb.coordinator.remote.front import Front
from flnb.core.errors import AccessRefusedError, NameTakenError, NotFoundError, PlanError
from flnb.transport import Identity, Link
from flnb.transport.invite import Invite


@pytest.fixture
def coordinator(tmp_path):
    with flnb.Coordinator(tmp_path / "lab") as coordinator:
        yield coordinator


def join(text, identity):
    """Join with an invite as a client does."""
    invite = Invite.parse(text)

    async def scene():
        link = Link(invite.address, invite.certificate)
        try:
            await link.join(invite.token, identity)
        finally:
            await link.close()

    asyncio.run(scene())


def test_an_invite_that_was_not_used_is_listed_and_can_be_taken_back(coordinator):
    made = coordinator.invite("hospital-a")
    (row,) = coordinator.clients
    assert (row.client, row.state, row.joined_at) == ("hospital-a", "invited", None)
    assert row.invite_ends_at == made.expires_at
    assert repr(coordinator.clients).startswith("hospital-a  invited  (invite until 2")
    coordinator.revoke("hospital-a", "sent to the wrong address")
    assert len(coordinator.clients) == 0
    with pytest.raises(AccessRefusedError, match="it was revoked"):
        join(made.text, Identity.create())
    with pytest.raises(NotFoundError, match="'hospital-a'"):
        coordinator.revoke("hospital-a")


def test_a_client_that_is_invited_again_shows_both(coordinator):
    for name in ("b", "a"):
        join(coordinator.invite(name).text, Identity.create())
    again = coordinator.invite("b")
    rows = clients_of(coordinator.lab, {})
    assert [(row.client, row.state) for row in rows] == [("a", "offline"), ("b", "offline")]
    assert [row.invite_ends_at for row in rows] == [None, again.expires_at]
    assert coordinator.clients.df()["invite_ends_at"].notna().tolist() == [False, True]
    coordinator.revoke("b")
    assert [row.invite_ends_at for row in coordinator.clients] == [None, None]


def test_what_clients_do_is_read_on_their_own_loop_from_wherever_one_asks(coordinator, monkeypatch):
    coordinator.listen()
    readers, states = [], Front.states

    def noted(front):
        readers.append(threading.current_thread().name)
        return states(front)

    monkeypatch.setattr(Front, "states", noted)

    async def within():
        return len(coordinator.clients)

    loop = coordinator._thread()
    assert len(coordinator.clients) == loop.call(within(), 5) == 0
    assert readers == [loop._thread.name] * 2


@pytest.mark.parametrize("expires", ["3651d", "3000000d", "315360001s", "9" * 5000 + "h"])
def test_nothing_that_is_given_is_good_for_more_than_ten_years(coordinator, expires):
    coordinator.listen()
    asks = (
        lambda: coordinator.invite("hospital-a", expires=expires),
        lambda: coordinator.token("dr-lee", expires=expires),
        lambda: coordinator.lab.expire(older_than=expires),
    )
    for ask in asks:
        with pytest.raises(PlanError, match="is too long: 3650d at most"):
            ask()
    assert coordinator.invite("hospital-a", expires="03650d").expires_at.year > 2030
    for none in ("0h", "h", "2 weeks", "-1h"):
        with pytest.raises(PlanError, match="not a time"):
            coordinator.invite("hospital-b", expires=none)


def test_nobody_is_invited_under_the_name_of_a_simulated_client(coordinator):
    task = flnb.tasks.digits(model="softmax", split=flnb.IID(clients=3, seed=0))
    coordinator.simulate(task, workers=0)
    with pytest.raises(NameTakenError, match="'c001' is the name of a simulated client"):
        coordinator.invite("c001")
    assert (list(coordinator.clients), coordinator.address) == ([], None)
    assert repr(coordinator.clients).endswith("not listed: 3 simulated clients of digits-softmax")
    coordinator.invite("hospital-a")
