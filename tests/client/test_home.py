"""A client's home: its key, what it joined, one process at a time; and what it needs to begin."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from flnb.client import Client
from flnb.core.errors import AccessRefusedError, DataError, PlanError, StoreError, TaskError
from flnb.datasets import Split
from flnb.tasks import Task
from flnb.transport.identity import Identity
from flnb.transport.invite import Invite
from tests.client.coordinators import CLIENT, LAB, FakeClient, play, run_until_error, running

ROOT = Path(__file__).parents[2]


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


def test_a_second_process_is_told_who_has_the_home(task, coordinator, home, interpreters):
    program = """if True:
        from pathlib import Path
        from flnb.client.state import Home
        Home(Path(sys.argv[1]))
        print("held", flush=True)
        sys.stdin.read()
    """
    with interpreters.start(program, home) as other:
        assert other.stdout.readline() == "held\n"
        with pytest.raises(StoreError, match=rf"process {other.pid} on \S+, since 20\d\d-"):
            run_until_error(FakeClient(coordinator, task, home))
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


def test_importing_flnb_brings_nothing_of_the_wire():
    program = "import flnb, sys, json; print(json.dumps(sorted(sys.modules)))"
    modules = json.loads(subprocess.check_output([sys.executable, "-c", program], cwd=ROOT))
    assert not {"grpc", "jwt", "cryptography", "flnb.client"} & set(modules)
