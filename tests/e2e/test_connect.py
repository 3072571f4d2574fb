"""`flnb coordinator serve` in its own process, held from this one: killed, restarted, still held."""

import json
import signal
import time
from types import SimpleNamespace

import numpy as np
import psutil
import pytest

import flnb
from flnb.core.errors import AccessRefusedError, HeadMovedError, UnreachableError
from flnb.core.view import Status
from tests.interpreters import FLNB, Interpreters


class Service:
    """A coordinator as a service."""

    def __init__(self, interpreters, lab):
        self.interpreters, self.lab = interpreters, lab
        self.start()

    def start(self):
        self.process = self.interpreters.start(FLNB, "coordinator", "serve", self.lab, "--json")
        self.address = json.loads(self.process.stdout.readline())["address"]

    def end(self, number=signal.SIGTERM):
        family = psutil.Process(self.process.pid).children(recursive=True)
        self.process.send_signal(number)
        self.process.communicate(timeout=30)
        self.process.close()
        psutil.wait_procs(family, 10)


@pytest.fixture(scope="module")
def checked(tmp_path_factory, pytestconfig):
    """Processes whose calls are checked as they are here.

    Without the checks their code would be other code than that of this process, and a task of the one
    would not be taken for a task of the other.
    """
    packages = pytestconfig.getoption("--jaxtyping-packages").removesuffix(",call_checks.checked")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FLNB_CHECKED", packages)
        interpreters = Interpreters(tmp_path_factory.mktemp("checked"), ["tests.e2e.checked"])
    yield interpreters
    interpreters.close()


@pytest.fixture(scope="module")
def service(tmp_path_factory, checked):
    """One for all tests; it is killed and started again on the way."""
    running = Service(checked, tmp_path_factory.mktemp("served") / "lab")
    yield running
    if running.process.poll() is None:
        running.end()


@pytest.fixture(autouse=True)
def _quiet(monkeypatch):
    monkeypatch.setenv("FLNB_PROGRESS", "off")


def task():
    return flnb.tasks.digits(model="softmax", split=flnb.IID(clients=6, seed=0))


def plan(rounds):
    local = flnb.Local(epochs=1, batch_size=32, lr=0.1)
    return flnb.Plan(strategy=flnb.FedAvg(local=local), rounds=rounds, invite=4, seed=1)


def until(true, timeout_s=40):
    deadline_s = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < deadline_s
        time.sleep(0.01)


def test_a_service_is_held_as_if_it_were_here(service):
    with flnb.connect(service.lab) as coord:
        coord.simulate(task(), workers=0)
        run = coord.run(plan(5000), task(), name="first")
        until(lambda: run.view.round > 3)
        assert run.pause().wait(30).status is Status.PAUSED
        rested_at = run.view.round
        run.resume()
        until(lambda: run.view.round > rested_at)
        assert run.stop().wait(30).status is Status.STOPPED
        assert len(coord.sql("SELECT * FROM rounds WHERE run = 'first'")) == run.view.round
        assert "used: 2" in run.round(1).why()
        lab = flnb.open(service.lab)
        here = lab.run("first")
        np.testing.assert_array_equal(run.model().values, here.model().values)
        assert run.model().sha256() == run.parameters_sha256 == here.parameters_sha256
        assert lab.attach("first").wait(1).view.round == run.view.round


def test_a_killed_service_comes_back_under_the_handle_with_the_same_bits(service, tmp_path):
    with flnb.Coordinator(tmp_path / "undisturbed") as coord:
        coord.simulate(task(), workers=0)
        expected = coord.run(plan(60), task()).wait(60).parameters_sha256
    with flnb.connect(service.lab) as coord:
        coord.simulate(task(), workers=0)
        run = coord.run(plan(60), task(), name="second")
        rounds = []
        run.on_change(lambda view: rounds.append(view.round))
        until(lambda: run.view.round > 5)
        service.end(signal.SIGKILL)
        frozen = run.view
        with pytest.raises(UnreachableError):
            run.pause()
        assert run.view == frozen
        service.start()
        assert run.wait(90).status is Status.FINISHED
        assert (rounds[-1], run.parameters_sha256) == (60, expected)


def applied(preview):
    """Apply a preview to a run that goes on: a head that moved meanwhile is looked at afresh."""
    while True:
        try:
            preview.apply("poisoned")
        except HeadMovedError as moved:
            preview = moved.preview
        else:
            return time.monotonic()


def test_every_open_view_shows_the_new_head_within_a_second(service, monkeypatch):
    frame = []
    display = SimpleNamespace(show=lambda view, final: frame.append(view))
    monkeypatch.setattr("flnb.core.progress.here", lambda later=None: display)
    with flnb.connect(service.lab) as coord, flnb.connect(service.lab) as another:
        coord.simulate(task(), workers=0)
        run = coord.run(plan(5000).replace(commit_every=1), task(), name="moved")
        attached, far = flnb.open(service.lab).attach("moved"), another.attach("moved")
        flnb.open(service.lab).attach("moved").live()
        views = [lambda: run.view, lambda: attached.view, lambda: far.view, lambda: frame[-1]]
        until(lambda: run.view.round > 4)
        for target, head in ((3, (2, 3)), (1, (3, 1)), ("before-rollback-2", (4, 3))):
            moved_s = applied(run.rollback(to=target))
            for view in views:
                left_s = moved_s + 1.0 - time.monotonic()
                until(lambda: (view().generation, view().round) == head, left_s)  # noqa: B023  # waited for here
        assert run.view.status is Status.PAUSED


def test_a_viewer_of_a_service_is_shut_out_from_a_terminal(service, interpreters):
    line = interpreters.flnb("token", "dr-lee", "--lab", service.lab).stdout
    with flnb.connect(service.lab) as coord, flnb.connect(line) as viewer:
        coord.simulate(task(), workers=0)
        coord.run(plan(5000), task(), name="third")
        run = viewer.attach("third")
        until(lambda: run.view.round > 3)
        with pytest.raises(AccessRefusedError, match="needs the role operator"):
            run.stop()
        done = run.source.done()
        interpreters.flnb("token", "revoke", "dr-lee", "--lab", service.lab)
        until(done.done, timeout_s=1.0)
        with pytest.raises(AccessRefusedError, match="revoked"):
            run.wait(5)
        coord.attach("third").stop().wait(30)
