"""Whoever is killed, a listener misses nothing and hears nothing twice; real processes."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time

import psutil
import pytest

import flnb
import flnb.transport


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Coordinator:
    """`flnb coordinator serve` as a process that can be killed and started again."""

    def __init__(self, lab):
        self.lab, self.port, self.http_port = lab, free_port(), free_port()

    def start(self, *, http):
        command = [os.path.join(os.path.dirname(sys.executable), "flnb"), "coordinator", "serve"]
        command += [str(self.lab), "--host", "127.0.0.1", "--port", str(self.port), "--json"]
        command += ["--http-port", str(self.http_port)] if http else []
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert json.loads(self.process.stdout.readline())["address"]

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.process.stdout.close()

    def end(self):
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(20)
            self.process.stdout.close()


pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def coordinator(tmp_path, monkeypatch):
    monkeypatch.setenv("FLNB_PROGRESS", "off")
    made = Coordinator(tmp_path / "lab")
    yield made
    made.end()


@pytest.fixture
def until():
    def wait(true, timeout_s=120):
        deadline_s = time.monotonic() + timeout_s
        while not true():
            assert time.monotonic() < deadline_s
            time.sleep(0.02)

    return wait


@contextlib.contextmanager
def held(lab):
    with flnb.connect(str(lab)) as coord:
        yield coord


BEGIN = """
import sys, flnb, flnb.transport
local = flnb.Local(epochs=1, batch_size=32, lr=0.1)
plan = flnb.Plan(strategy=flnb.FedAvg(local=local), rounds=100_000, invite=4, seed=1)
task = flnb.tasks.digits(model="softmax", split=flnb.IID(clients=6, seed=0))
with flnb.connect(sys.argv[1]) as coord:
    coord.simulate(task, workers=0)
    coord.run(plan, task, name="first")
    print(flnb.transport.Pass.parse(coord.token("ears", role="operator").text).token)
"""
"""Starts a run that goes on for a while, and lets somebody listen."""


def begin(lab):
    # In a process of its own: here the code of tasks is checked while it runs, and so another one.
    told = subprocess.run([sys.executable, "-c", BEGIN, lab], capture_output=True, text=True)
    assert told.returncode == 0, told.stderr
    return told.stdout.strip()


def told_once(heard):
    """Each round that was told first, in order; a later telling only brings its commit."""
    told = list(dict.fromkeys(one["round"] for one in heard))
    return [number for number in told if number >= told[0]]


def test_nothing_is_missed_or_told_twice_over_a_kill_of_coordinator_and_service(
    coordinator, ears, until
):
    coordinator.start(http=True)
    token = begin(coordinator.lab)
    url = f"ws://127.0.0.1:{coordinator.http_port}/ws/events"
    first = ears.open(url, token)
    until(lambda: len(first.rounds) > 5)
    coordinator.kill()
    until(lambda: first.code is not None or first.refused)
    coordinator.start(http=True)
    again = ears.open(url, token, cursor=first.cursor)
    until(lambda: len(again.rounds) > 5)
    with held(coordinator.lab) as coord:
        coord.attach("first").stop().wait(60)
        last = coord.attach("first").view.round
    until(lambda: again.rounds and again.rounds[-1] == last)
    heard = first.of("round_complete") + again.of("round_complete")
    assert told_once(heard) == list(range(heard[0]["round"], last + 1))
    seen = [(told["round"], told["snapshot"]) for told in heard]
    assert len(seen) == len(set(seen))
    verbs = [told["verb"] for told in first.of("operation") + again.of("operation")]
    assert (verbs.count("resume"), verbs.count("stop")) == (1, 1)


def test_sockets_stay_while_only_the_coordinator_is_gone_and_no_zombies_are_left(
    coordinator, ears, until
):
    coordinator.start(http=False)
    token = begin(coordinator.lab)
    with contextlib.closing(Service(coordinator)) as service:
        listeners = [ears.open(service.url, token) for _ in range(10)]
        until(lambda: all(len(ear.rounds) > 2 for ear in listeners))
        coordinator.kill()
        until(lambda: all("coordinator_gone" in ear.types for ear in listeners))
        late = ears.open(service.url, token)
        until(lambda: late.code)
        assert late.code == 1013
        coordinator.start(http=False)
        until(lambda: all("coordinator_back" in ear.types for ear in listeners))
        before = [len(ear.rounds) for ear in listeners]
        until(lambda: all(len(ear.rounds) > n for ear, n in zip(listeners, before, strict=True)))
        for ear in listeners:
            assert ear.rounds == list(range(ear.rounds[0], ear.rounds[-1] + 1))
            assert ear.types.count("snapshot") == 1
        assert len(service.sockets()) == 10
        for ear in listeners:
            ear.hang_up()
        until(lambda: service.sockets() == [])


class Service:
    """`python -m flnb.service`, started by hand, so that it outlives its coordinator."""

    def __init__(self, coordinator):
        self._listening = socket.create_server(("127.0.0.1", 0))
        port = self._listening.getsockname()[1]
        self.url = f"ws://127.0.0.1:{port}/ws/events"
        number = self._listening.fileno()
        with held(coordinator.lab) as coord:
            lines = {role: coord.token(f"own-{role}", role=role) for role in ("viewer", "operator")}
        tokens = {role: flnb.transport.Pass.parse(line.text).token for role, line in lines.items()}
        settings = {
            "address": f"127.0.0.1:{coordinator.port}",
            "fd": number,
            "hosts": [f"127.0.0.1:{port}"],
        }
        command = [sys.executable, "-m", "flnb.service"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, pass_fds=[number])
        self._process.stdin.write(json.dumps(settings | tokens).encode() + b"\n")
        self._process.stdin.flush()

    def sockets(self):
        port = self._listening.getsockname()[1]
        open_now = psutil.Process(self._process.pid).net_connections(kind="tcp")
        return [one for one in open_now if one.laddr.port == port and one.raddr]

    def close(self):
        self._process.stdin.close()
        assert self._process.wait(20) == 0
        self._listening.close()
