"""A real `flnb coordinator serve --http-port` over a lab with closed rounds, and callers of each role."""

import json
import signal
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import httpx
import psutil
import pytest
from service.listening import Ears

import flnb
from flnb.coordinator.granting import written_token
from tests.ui.places import make_study

FLNB = Path(sys.executable).parent / "flnb"
PAGES = "http://localhost:5173"
"""The origin of pages elsewhere that may call."""


class Served:
    """A coordinator of its own process that serves HTTP, and the lab that it holds."""

    def __init__(self, lab, *options):
        self.lab = lab
        command = [FLNB, "coordinator", "serve", lab, "--http-port", "0", "--json", *options]
        with lab.with_suffix(".log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
        self.url = json.loads(self.process.stdout.readline())["http"]

    @property
    def log(self):
        return self.lab.with_suffix(".log").read_text()

    @property
    def services(self):
        """Its processes that serve HTTP."""
        family = psutil.Process(self.process.pid).children(recursive=True)
        return [one for one in family if "flnb.service" in one.cmdline()]

    def end(self, number=signal.SIGTERM):
        family = psutil.Process(self.process.pid).children(recursive=True)
        self.process.send_signal(number)
        self.process.communicate(timeout=30)
        assert psutil.wait_procs(family, 10)[1] == []


def token_in(lab, name, role, lifetime_s=3600.0):
    """Give a token of a lab, as its admin would."""
    opened = flnb.open(lab) if not hasattr(lab, "store") else lab
    try:
        return written_token(opened.store, name, role, timedelta(seconds=lifetime_s))[0]
    finally:
        if opened is not lab:
            opened.store.close()


def caller(url, token=None, **more):
    """Whoever calls with a token."""
    headers = {"Flnb-Request": "1"} | ({"Authorization": f"Bearer {token}"} if token else {})
    return httpx.Client(base_url=url, headers=headers, **{"timeout": 30} | more)


@pytest.fixture(scope="module", autouse=True)  # tests elsewhere look at what is drawn
def _quiet():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FLNB_PROGRESS", "off")
        yield


@pytest.fixture(scope="session")
def task():
    return flnb.tasks.digits(model="softmax", split=flnb.IID(clients=6, seed=0))


@pytest.fixture(scope="session")
def plan():
    local = flnb.Local(epochs=1, batch_size=32, lr=0.1)
    return flnb.Plan(strategy=flnb.FedAvg(local=local), rounds=4, invite=4, seed=1, commit_every=1)


@pytest.fixture(scope="session")
def lab(tmp_path_factory, task, plan):
    """Two runs of four rounds each, one with an alias; a study of both."""
    folder = tmp_path_factory.mktemp("service") / "lab"
    with flnb.Coordinator(folder) as coordinator:
        coordinator.simulate(task, workers=0)
        first = coordinator.run(plan, task, name="first").wait(60)
        coordinator.run(plan.replace(seed=2), task, name="second").wait(60)
        first.alias("good", at=3, reason="looked at")
        make_study(coordinator.lab, runs=("first", "second"))
    return folder


@pytest.fixture(scope="session")
def served(lab):
    service = Served(lab, "--cors", PAGES)
    yield service
    service.end()


@pytest.fixture(scope="session")
def _callers(served):
    made = {}
    yield made
    for one in made.values():
        one.close()


@pytest.fixture
def calls(served, _callers):
    """Gives a caller in a role; None has no token."""

    def as_(role):
        if role not in _callers:
            token = role and token_in(served.lab, f"a-{role}", role)
            _callers[role] = caller(served.url, token)
        return _callers[role]

    return as_


@pytest.fixture(scope="module")
def coord(tmp_path_factory, task):
    """A coordinator of this process that serves, and trains."""
    with flnb.Coordinator(tmp_path_factory.mktemp("coord") / "lab", http_port=0) as coordinator:
        coordinator.simulate(task, workers=0)
        yield coordinator


@pytest.fixture(scope="module")
def asks(coord):
    """Gives a caller of that coordinator in a role."""
    made = {}

    def as_(role):
        if role not in made:
            made[role] = caller(coord.http, token_in(coord.lab, f"a-{role}", role))
        return made[role]

    yield as_
    for one in made.values():
        one.close()


@pytest.fixture
def ears():
    """Listeners; they hang up at the end."""
    made = Ears()
    yield made
    made.close()


@pytest.fixture
def until():
    """Waits for something that happens in another thread or process."""

    def wait(true, timeout_s=30):
        deadline_s = time.monotonic() + timeout_s
        while not true():
            assert time.monotonic() < deadline_s
            time.sleep(0.02)

    return wait
