"""Coming, staying, going: joining, refusals, reconnecting, ^C, one process a home."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import threading
import time

import pytest

from flnb.client import backoff
from flnb.client.events import ClientEvent, teller
from flnb.core.errors import (
    AccessRefusedError,
    FLBaseError,
    StorageFullError,
    TokenExpiredError,
    UnreachableError,
)
from flnb.transport.v1 import federation_pb2 as pb
from tests.client.coordinators import (
    SOON_S,
    FakeClient,
    play,
    run_until_error,
    running,
    until,
)


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch):
    monkeypatch.setattr(backoff, "FIRST_S", 0.02)


def test_progress_is_told(task, coordinator, home):
    client = FakeClient(coordinator, task, home)

    async def scene():
        async with running(client):
            await coordinator.line()
            await until(lambda: client.said("waiting"))

    play(scene)
    assert [event.kind for event in client.events] == ["joined", "connected", "waiting", "ended"]


def test_a_listener_that_fails_stops_nothing(task, coordinator, home, caplog):
    def broken(event):
        raise ValueError("no terminal")

    async def scene():
        async with running(FakeClient(coordinator, task, home, on_event=broken)):
            line = await coordinator.line()
            line.say(renew=pb.Renew(nonce=b"again"))
            await line.hear("proof")

    play(scene)
    assert "no terminal" in caplog.text


@pytest.mark.parametrize(
    ("stage", "error"),
    [
        ("before_join", AccessRefusedError("no invite of this lab has this token")),
        ("before_join", TokenExpiredError("the invite is too old")),
        ("before_join", FLBaseError("the client speaks protocol 1, the coordinator speaks 2")),
        ("before_sign_in", AccessRefusedError("client hospital-a was revoked: left")),
    ],
)
def test_who_is_refused_at_the_door_hears_why_and_leaves(task, coordinator, home, stage, error):
    getattr(coordinator, stage).append(error)
    client = FakeClient(coordinator, task, home)
    with pytest.raises(type(error), match=error.message):
        run_until_error(client)
    assert error.message in client.said("ended")[0]


def test_a_goodbye_for_good_ends_the_client_with_its_reason(task, coordinator, home):
    client = FakeClient(coordinator, task, home)

    async def scene():
        running_client = asyncio.create_task(client.arun())
        (await coordinator.line()).say(goodbye={"reason": "left the study", "for_good": True})
        with pytest.raises(AccessRefusedError, match="left the study"):
            await asyncio.wait_for(running_client, SOON_S)

    play(scene)
    assert coordinator.sign_ins == 1


@pytest.mark.parametrize(
    "ending",
    [
        None,
        UnreachableError("cut"),
        StorageFullError("the coordinator", 0),
        FLBaseError("the coordinator failed at this"),
        "goodbye",
    ],
)
def test_a_session_that_ended_is_followed_by_another(task, coordinator, home, ending):
    client = FakeClient(coordinator, task, home)

    async def scene():
        async with running(client):
            line = await coordinator.line()
            if ending == "goodbye":
                line.say(goodbye={"reason": "the coordinator stops", "for_good": False})
            else:
                line.end(ending)
            await coordinator.line()

    play(scene)
    (text,) = client.said("reconnecting")
    if ending is not None:
        assert text.startswith(getattr(ending, "message", "the coordinator stops"))
    assert re.search(r"; not connected since \d\d:\d\d:\d\d, next try in \d+\.\d s$", text)


def test_a_token_that_is_too_old_leads_to_another_sign_in(task, coordinator, home):
    async def scene():
        async with running(FakeClient(coordinator, task, home)):
            line = await coordinator.line()
            coordinator.before_session.append(TokenExpiredError("too old"))
            line.end()
            await coordinator.line()
        assert coordinator.sign_ins == 2

    play(scene)


def test_somebody_who_was_welcome_is_sent_away_only_when_it_is_meant(task, coordinator, home):
    client = FakeClient(coordinator, task, home)

    async def scene():
        stays = asyncio.create_task(client.arun())
        line = await coordinator.line()
        coordinator.before_session += [AccessRefusedError("not one of our tokens")] * 2
        line.end()
        line = await coordinator.line()
        coordinator.before_session += [AccessRefusedError("shut out")] * 9
        line.end()
        with pytest.raises(AccessRefusedError, match="shut out"):
            await asyncio.wait_for(stays, SOON_S)
        assert len(coordinator.before_session) == 6

    play(scene)


def test_nobody_at_the_address_is_an_error_after_a_while(task, coordinator, home):
    coordinator.before_join += [UnreachableError("no coordinator at 127.0.0.1:1")] * 1000
    client = FakeClient(coordinator, task, home, patience_s=0.2)
    before = time.monotonic()
    with pytest.raises(UnreachableError, match="no coordinator at"):
        run_until_error(client)
    assert time.monotonic() - before >= 0.2
    assert len(client.said("reconnecting")) >= 2


def test_a_coordinator_that_was_there_once_is_waited_for(task, coordinator, home):
    client = FakeClient(coordinator, task, home, patience_s=0.0)

    async def scene():
        async with running(client):
            line = await coordinator.line()
            coordinator.before_session += [UnreachableError("away")] * 4
            line.end()
            await coordinator.line()
        assert len(client.said("reconnecting")) == 5

    play(scene)


def test_waits_double_from_a_fifth_of_a_second_to_half_a_minute(monkeypatch):
    monkeypatch.setattr(backoff, "FIRST_S", 0.2)
    waits = backoff.Backoff()
    for bound_s in (0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30.0, 30.0):
        assert 0 <= waits.next_s() < bound_s
    firsts = []
    for _ in range(200):
        waits.reset()
        firsts.append(waits.next_s())
    assert min(firsts) < 0.05
    assert 0.15 < max(firsts) < 0.2


def test_a_short_session_in_which_an_update_got_through_was_a_good_one(
    task, coordinator, home, monkeypatch
):
    resets = []
    monkeypatch.setattr(backoff.Backoff, "reset", lambda self: resets.append(self))
    received = pb.Verdict(assignment=pb.AssignmentId(), kind=pb.Verdict.RECEIVED)

    async def scene():
        async with running(FakeClient(coordinator, task, home)):
            (await coordinator.line()).end()
            line = await coordinator.line()
            assert not resets
            line.say(verdict=received)
            line.end()
            await coordinator.line()
        assert len(resets) == 1

    play(scene)


def test_stopping_says_goodbye(task, coordinator, home):
    client = FakeClient(coordinator, task, home)

    async def scene():
        stays = asyncio.create_task(client.arun())
        line = await coordinator.line()
        threading.Thread(target=client.stop).start()
        await line.hear("leaving")
        await asyncio.wait_for(stays, SOON_S)

    play(scene)
    assert client.said("ended") == ["left the coordinator"]


def test_a_client_that_was_stopped_before_it_began_does_not_begin(task, coordinator, home):
    client = FakeClient(coordinator, task, home)
    client.stop()
    run_until_error(client)
    assert coordinator.lines.empty()


def test_a_client_that_waits_for_its_coordinator_can_be_stopped(task, coordinator, home):
    coordinator.before_join += [UnreachableError("away")] * 1000
    client = FakeClient(coordinator, task, home)

    async def scene():
        async with running(client):
            await until(lambda: client.said("reconnecting"))

    play(scene)


@pytest.mark.usefixtures("no_leaks")
def test_run_blocks_until_it_is_stopped_and_can_be_called_again(task, coordinator, home):
    coordinator.alone = True
    client = FakeClient(coordinator, task, home)
    for _ in range(2):
        client.events.clear()
        stopping = threading.Thread(target=lambda: (_wait_for(client, "waiting"), client.stop()))
        stopping.start()
        client.run()
        stopping.join()
        assert client.said("ended") == ["left the coordinator"]


@pytest.fixture
def interruptible():
    """A ^C is one, also where it is ignored, such as in a process that another one waits for."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("no_leaks", "interruptible")
def test_an_interrupt_says_goodbye_before_it_goes_on(task, coordinator, home):
    coordinator.alone = True
    client = FakeClient(coordinator, task, home)

    def interrupt():
        _wait_for(client, "waiting")
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        client.run()
    line = coordinator.lines.get_nowait()
    notes = [line._in.get_nowait().WhichOneof("note") for _ in range(line._in.qsize())]
    assert notes == ["hello", "leaving"]


def test_run_raises_what_ended_the_client(task, coordinator, home):
    coordinator.before_join.append(AccessRefusedError("no such invite"))
    with pytest.raises(AccessRefusedError, match="no such invite"):
        FakeClient(coordinator, task, home).run()


def _wait_for(client, kind):
    until_s = time.monotonic() + SOON_S
    while not client.said(kind) and time.monotonic() < until_s:
        time.sleep(0.01)
    assert client.said(kind)


def test_events_are_told_in_one_sentence(caplog):
    heard = []
    event = ClientEvent("settled", "round 3 is saved", "run", 3)
    teller(heard.append)(event)
    teller(None)(event)
    assert heard == [event]


def test_a_welcome_that_comes_twice_is_one(task, coordinator, home):
    client = FakeClient(coordinator, task, home)

    async def scene():
        async with running(client):
            line = await coordinator.line()
            line.say(welcome=pb.Welcome(alive_every_s=0.01, lease_s=1.0))
            await line.silent("alive")
        assert len(client.said("connected")) == 1

    play(scene)
