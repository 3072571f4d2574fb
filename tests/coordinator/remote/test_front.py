"""Who is here: clients that do not read, lines that flap, a busy database, strangers."""

import asyncio
import threading
from datetime import timedelta

import pytest

from flnb.coordinator.listening import issuer_of
from flnb.coordinator.remote.participants import RemoteClients
from flnb.core import SYSTEM_CLOCK, errors
from flnb.core.errors import AccessRefusedError, TokenExpiredError
from flnb.core.ids import ClientId
from flnb.transport import Identity
from flnb.transport.tokens import Role
from flnb.transport.v1 import federation_pb2 as pb
from tests.coordinator.remote.visits import BASE, LAYOUT, NAME, Visit, door, until, work

IDLE = {NAME: "idle"}


def play(scene, folder):
    """Play a scene at the door of a lab."""

    async def at_the_door():
        async with door(folder) as opened:
            await asyncio.wait_for(scene(opened), 30)

    asyncio.run(at_the_door())


async def come(door, *, reads=True):
    """A client comes and says hello."""
    visit = Visit(door, reads=reads)
    visit.hello()
    await until(lambda: door.front.states() == IDLE and (visit.heard or not reads))
    return visit


async def hand_out(door, work):
    """Give the client something to do."""
    remote = door.front.clients_of(LAYOUT.hash)
    await asyncio.to_thread(remote.begin, work, BASE)
    assert door.front.states() == {NAME: "training"}
    return remote


def test_a_sign_of_life_is_answered(tmp_path):
    async def scene(door):
        visit = await come(door)
        visit.say(alive=pb.Alive())
        await until(lambda: visit.heard[-1] == "alive")

    play(scene, tmp_path)


def test_whoever_is_shut_out_and_does_not_read_is_gone_soon_and_counts_no_more(tmp_path):
    async def scene(door):
        visit = await come(door, reads=False)
        remote = await hand_out(door, work())
        door.front.expel(NAME, "left the study")
        visit.offer(work())
        await asyncio.wait_for(visit.over, 5)
        assert remote.works(NAME), "its update counted"
        assert not door.front.states()

    play(scene, tmp_path)


def test_whoever_reads_hears_why_it_is_shut_out_and_nothing_after_it(tmp_path):
    async def scene(door):
        visit = await come(door)
        await hand_out(door, work())
        door.front.expel(NAME, "left the study")
        door.front.expel(NAME, "left the study")
        await asyncio.wait_for(visit.over, 5)
        assert visit.heard == ["welcome", "assignment", "goodbye"]

    play(scene, tmp_path)


def test_a_token_of_an_earlier_key_is_too_old_for_a_coordinator_that_did_not_see_the_change(
    tmp_path,
):
    async def scene(door):
        door.rotate(SYSTEM_CLOCK.now())
        visit = Visit(door)
        visit.hello()
        with pytest.raises(TokenExpiredError, match="has another key since"):
            await visit.over
        assert not door.front.states()
        await door.sign_in()
        await come(door)

    play(scene, tmp_path)


def test_a_clock_that_was_ahead_when_a_client_joined_shuts_it_out_of_nothing(tmp_path):
    async def scene(door):
        door.rotate(SYSTEM_CLOCK.now() + timedelta(hours=1))
        await door.sign_in()
        await come(door)

    play(scene, tmp_path)


def test_time_counts_and_is_looked_at_while_the_database_is_busy(tmp_path):
    async def scene(door):
        await come(door)
        remote = await hand_out(door, work(deadline_s=0.8))
        with door.busy():
            await until(lambda: not remote.works(NAME), within_s=5)
        assert remote.stalls == []

    play(scene, tmp_path)


def test_of_revocations_one_look_waits_for_the_database_at_a_time(tmp_path):
    async def scene(door):
        looks, in_io = [], door.front._in_io
        door.front._in_io = lambda *asked: looks.append(asked) or in_io(*asked)
        await come(door)
        looks.clear()
        with door.busy():
            await asyncio.sleep(0.8)
            assert len(looks) == 1
        door.store.state.revoke_client(NAME, "left", door.store.state.client(NAME).joined_at)
        await until(lambda: not door.front.states())

    play(scene, tmp_path)


@pytest.mark.parametrize("says_hello", [False, True])
def test_a_line_that_flaps_leaves_no_ghost(tmp_path, says_hello):
    async def scene(door):
        first = await come(door)
        with door.busy():
            second = Visit(door)
            if says_hello:
                second.hello()
            await asyncio.wait_for(first.over, 5)
            assert door.front.states() == IDLE, "the second may still say hello"
            second.over.cancel()
            await asyncio.wait([second.over])
        assert not door.front.states()
        assert not door.front.clients_of(LAYOUT.hash).clients

    play(scene, tmp_path)


def test_a_client_that_was_replaced_in_its_hello_is_not_here(tmp_path):
    async def scene(door):
        with door.busy():
            first = Visit(door, reads=False)
            first.hello()
            await asyncio.sleep(0.01)
            second = Visit(door)
            await asyncio.sleep(0.01)
            second.hang_up()
            await second.over
        await asyncio.wait_for(first.over, 5)
        assert not door.front.states()
        assert not door.front.clients_of(LAYOUT.hash).clients

    play(scene, tmp_path)


def test_the_loop_goes_on_while_threads_of_a_layout_that_nobody_has_end(tmp_path, monkeypatch):
    seen, closed = threading.Event(), []
    monkeypatch.setattr(RemoteClients, "close", lambda remote: closed.append(seen.wait(2)))

    async def scene(door):
        visit = await come(door)
        visit.hang_up()
        await visit.over
        seen.set()

    play(scene, tmp_path)
    assert closed == [True]


def test_layouts_that_clients_make_up_are_forgotten_and_those_of_tasks_are_not(tmp_path):
    async def scene(door):
        kept = door.front.clients_of(LAYOUT.hash)
        for layout in ("made up", "made up, too", LAYOUT.hash):
            visit = Visit(door)
            visit.hello(layout)
            await until(lambda: visit.heard)  # noqa: B023  this turn's
        visit.hang_up()
        await visit.over
        assert list(door.front._remotes) == [LAYOUT.hash]
        assert door.front.clients_of(LAYOUT.hash) is kept

    play(scene, tmp_path)


async def refusal(door, client, identity):
    """What whoever signs in under a name is told."""
    nonce = (await door.front.challenge(pb.ChallengeRequest(client=client))).nonce
    signature = identity.sign("flnb-sign-in", door.store.id.encode(), nonce)
    with pytest.raises(AccessRefusedError) as refused:
        await door.front.sign_in(pb.SignInRequest(client=client, nonce=nonce, signature=signature))
    return str(refused.value)


def test_strangers_do_not_learn_which_names_there_are_and_cost_no_search(tmp_path, monkeypatch):
    def searched(*_):
        raise AssertionError("names were compared for a stranger")

    async def scene(door):
        stranger = Identity.create()
        monkeypatch.setattr(errors, "did_you_mean", searched)
        assert await refusal(door, NAME, stranger) == (await refusal(door, "b", stranger)).replace(
            "'b'", f"'{NAME}'"
        )
        joined_at = door.store.state.client(NAME).joined_at
        door.store.state.revoke_client(NAME, "left the study", joined_at)
        assert "not signed by the key of 'a'" in await refusal(door, NAME, stranger)
        assert "was revoked: left the study" in await refusal(door, NAME, door.identity)

    play(scene, tmp_path)


def test_a_name_that_nobody_can_have_costs_nothing(tmp_path):
    async def scene(door):
        client = ClientId("x" * 65)
        with pytest.raises(AccessRefusedError, match="at most 64 characters, this one 65"):
            await door.front.challenge(pb.ChallengeRequest(client=client))
        with pytest.raises(AccessRefusedError, match="at most 64 characters, this one 65"):
            await door.front.sign_in(pb.SignInRequest(client=client, nonce=b"", signature=b""))

    play(scene, tmp_path)


def test_a_token_that_is_bound_to_nothing_is_void_once_its_client_is_shut_out(tmp_path):
    async def scene(door):
        of_before = issuer_of(door.store).issue(NAME, Role.CLIENT, 600)
        door.front.expel(ClientId(NAME), "it was revoked")
        with pytest.raises(AccessRefusedError, match="was revoked"):
            await door.front.claims(of_before)

    play(scene, tmp_path)
