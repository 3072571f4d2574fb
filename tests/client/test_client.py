"""Coming, staying, going: joining, refusals, reconnecting, ^C, one process a home."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from flnb.client import Client, backoff
from flnb.client.events import ClientEvent, teller
from flnb.core.errors import (
    AccessRefusedError,
    DataError,
    FLBaseError,
    PlanError,
    StorageFullError,
    StoreError,
    TaskError,
    TokenExpiredError,
    UnreachableError,
)
from flnb.datasets import Split
from flnb.tasks import Task
from flnb.transport.identity import Identity
from flnb.transport.invite import Invite
from flnb.transport.v1 import federation_pb2 as pb
from tests.client.coordinators import (
    CLIENT,
    LAB,
    SOON_S,
    FakeClient,
    play,
    running,
    until,
)

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch):
    monkeypatch.setattr(backoff, "FIRST_S", 0.02)


def run_until_error(client):
    asyncio.run(asyncio.wait_for(client.arun(), SOON_S))


def test_a_client_joins_once_and_is_known_by_its_key_afterwards(task, coordinator, home):
    async def scene():
        for _ in range(2):
            async with running(FakeClient(coordinator, task, home)):
                await coordinator.line()
        assert coordinator.joins == ["join-1"]
        assert coordinator.sign_ins == 2
        assert Identity.load(home / "identity.pem").public == coordinator.public
        assert (home / "identity.pem").stat().st_mode & 0o777 == 0o600
        assert home.stat().st_mode & 0o077 == 0
        assert "join-1" not in (home / "joined.json").read_text()

    play(scene)


def test_a_new_invite_joins_again_with_the_same_key(task, coordinator, home):
    async def scene():
        keys = []
        for token in ("join-1", "join-2", "join-1"):
            async with running(FakeClient(coordinator, task, home, token=token)):
                await coordinator.line()
                keys.append(coordinator.public)
        assert coordinator.joins == ["join-1", "join-2"]
        assert len(set(keys)) == 1

    play(scene)


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
            await (await coordinator.line(alive_every_s=0.05)).hear("alive")

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


@pytest.mark.usefixtures("no_leaks")
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


def test_a_second_process_is_told_who_has_the_home(task, coordinator, home):
    program = """if True:
        import sys
        from pathlib import Path
        from flnb.client.state import Home
        Home(Path(sys.argv[1]))
        print("held", flush=True)
        sys.stdin.read()
    """
    other = subprocess.Popen(
        [sys.executable, "-c", program, str(home)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert other.stdout.readline() == "held\n"
        with pytest.raises(StoreError, match=rf"process {other.pid} on \S+, since 20\d\d-"):
            run_until_error(FakeClient(coordinator, task, home))
    finally:
        other.communicate("")
    client = FakeClient(coordinator, task, home)

    async def scene():
        async with running(client):
            await coordinator.line()

    play(scene)


def test_a_home_belongs_to_one_client(task, coordinator, home):
    async def scene():
        async with running(FakeClient(coordinator, task, home)):
            await coordinator.line()

    play(scene)
    other = FakeClient(coordinator, task, home)
    other._invite = Invite("127.0.0.1:1", LAB, "hospital-b", "join-9")
    for _ in range(2):  # the lock is free again after the first time
        with pytest.raises(StoreError, match="is the folder of hospital-a"):
            run_until_error(other)


def test_a_home_that_cannot_be_read_says_which_file(task, coordinator, home):
    home.mkdir()
    (home / "joined.json").write_text("[]")
    with pytest.raises(StoreError, match=r"joined\.json cannot be read"):
        run_until_error(FakeClient(coordinator, task, home))
    (home / "joined.json").unlink()
    (home / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be the folder"):
        run_until_error(FakeClient(coordinator, task, home / "file"))


def test_a_coordinator_of_another_lab_is_not_joined(task, coordinator, home):
    client = FakeClient(coordinator, task, home)
    client._invite = Invite("127.0.0.1:1", "other-lab", CLIENT, "join-1")
    with pytest.raises(AccessRefusedError, match="the invite is for hospital-a of lab other-lab"):
        run_until_error(client)
    assert not (home / "joined.json").exists()


def test_a_home_is_found_by_lab_and_name(task, monkeypatch, tmp_path):
    monkeypatch.setenv("FLNB_HOME", str(tmp_path))
    client = Client(Invite("127.0.0.1:1", "lab", "a", "t"), task)
    assert client.home == tmp_path / "clients" / "lab-a"
    monkeypatch.delenv("FLNB_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "me"))
    client = Client(Invite("127.0.0.1:1", "lab", "../../etc", "t"), task)
    assert client.home == tmp_path / "me" / ".flnb" / "clients" / "lab-.._.._etc"


def test_an_invite_may_be_its_text_or_a_file(task, tmp_path):
    invite = Invite("127.0.0.1:1", "lab", "a", "t")
    (tmp_path / "invite.txt").write_text(invite.text)
    for given in (invite.text, tmp_path / "invite.txt", str(tmp_path / "invite.txt")):
        assert Client(given, task)._invite == invite
    with pytest.raises(PlanError):
        Client("hello", task)
    assert "t" not in repr(Client(invite, task)).split()


def test_a_client_without_examples_does_not_join(task, coordinator, home):
    empty = Task(model=task.model, data=task.data, split=Split.of({CLIENT: []}))
    with pytest.raises(DataError, match="has no examples"):
        run_until_error(FakeClient(coordinator, empty, home))
    assert not coordinator.joins


def test_a_task_that_cannot_be_trained_does_not_join(task, coordinator, home):
    from torch import nn

    odd = Task(model=nn.ReLU, data=task.data, split=task.split)
    with pytest.raises(TaskError, match="no parameters"):
        run_until_error(FakeClient(coordinator, odd, home))
    assert not coordinator.joins


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


def test_importing_flnb_brings_nothing_of_the_wire():
    program = "import flnb, sys, json; print(json.dumps(sorted(sys.modules)))"
    modules = json.loads(subprocess.check_output([sys.executable, "-c", program], cwd=ROOT))
    assert not {"grpc", "jwt", "cryptography", "flnb.client"} & set(modules)
