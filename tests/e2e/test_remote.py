"""Remote clients in processes of their own, over real sockets; some of them are killed."""

import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import psutil
import pytest

import flnb
from flnb.core.errors import NotFoundError
from flnb.core.view import Status
from tests.e2e.remote_client import plan, task

SCRIPT = Path(__file__).parent / "remote_client.py"
CLIENT = """
from tests.e2e.remote_client import main
sys.stdout = sys.stderr
main()
"""


class Remote:
    """A client's process, and what it says."""

    def __init__(self, interpreters, invite, home, model, clients, delay_s=0.0):
        self.interpreters = interpreters
        self.arguments = [invite, str(home), model, str(clients), str(delay_s)]
        self.log = home.with_suffix(".log")
        self.start()

    def start(self):
        self.process = self.interpreters.start(CLIENT, *self.arguments, log=self.log)

    def said(self, words, times=1):
        wait_for(lambda: self.log.read_text().count(words) >= times, lambda: self.log.read_text())

    def kill(self):
        self.process.close()

    def end(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(10)
        self.kill()


def wait_for(true, otherwise=lambda: "", timeout_s=40):
    deadline_s = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < deadline_s, otherwise()
        time.sleep(0.02)


@pytest.fixture
def begin(interpreters):
    """Begins a client."""
    return partial(Remote, interpreters)


@pytest.fixture
def clients(begin, tmp_path):
    """Invites clients, and begins them for a while."""

    @contextmanager
    def here(coordinator, model, names, delay_s=0.0):
        people = {}
        try:
            for name in names:
                text = coordinator.invite(name).text
                people[name] = begin(text, tmp_path / name, model, len(names), delay_s)
            yield people
        finally:
            for one in people.values():
                one.end()

    return here


def simulated_sha(folder, model, wanted, n=2):
    with flnb.Coordinator(folder) as coordinator:
        learning = task(model, n)
        coordinator.simulate(learning, workers=0)
        return coordinator.run(wanted, learning).wait(60).parameters_sha256


@pytest.mark.parametrize("model", [pytest.param("softmax", marks=pytest.mark.long), "wide"])
def test_remote_clients_give_the_bits_of_simulated_ones(tmp_path, model, clients):
    expected = simulated_sha(tmp_path / "simulated", model, plan())
    with flnb.Coordinator(tmp_path / "lab") as coordinator:
        with clients(coordinator, model, ["c000", "c001"]) as people:
            run = coordinator.run(plan(), task(model, 2)).wait(60)
            for one in people.values():
                one.said("round 5 is saved")
        assert run.parameters_sha256 == expected
        assert {row.client: row.n_examples for row in coordinator.clients} == dict(
            task(model, 2).clients
        )
        assert not list((tmp_path / "lab" / "spool").iterdir())
        assert not list((tmp_path / "c000" / "outbox").glob("*.*"))


def test_simulated_and_remote_clients_train_in_one_run(tmp_path, begin):
    wanted = plan(invite=4)
    expected = simulated_sha(tmp_path / "simulated", "softmax", wanted, 4)
    learning = task("softmax", 4)
    with flnb.Coordinator(tmp_path / "lab") as coordinator:
        coordinator.simulate(learning, clients=2, workers=0)
        text = {name: coordinator.invite(name).text for name in ("c002", "c003")}
        people = [begin(text[name], tmp_path / name, "softmax", 4) for name in text]
        try:
            run = coordinator.run(wanted, learning).wait(60)
        finally:
            for one in people:
                one.end()
    assert run.parameters_sha256 == expected


@pytest.mark.long  # forked ones are killed at more places in tests/faults/test_kills.py
def test_a_client_that_is_killed_comes_back_as_itself_and_the_bits_stay(tmp_path, clients):
    wanted = plan(rounds=6)
    expected = simulated_sha(tmp_path / "simulated", "wide", wanted)
    with flnb.Coordinator(tmp_path / "lab") as coordinator:
        with clients(coordinator, "wide", ["c000", "c001"], delay_s=0.2) as people:
            run = coordinator.run(wanted, task("wide", 2))
            people["c001"].said("training for round 3")
            people["c001"].kill()
            people["c001"].start()
            run.wait(90)
        assert run.parameters_sha256 == expected
        assert [row.client for row in coordinator.clients] == ["c000", "c001"]


def test_a_round_closes_by_quorum_without_a_killed_client(tmp_path, clients):
    wanted = plan(rounds=3, invite=3, need=2, close="quorum")
    names = ["c000", "c001", "c002"]
    with flnb.Coordinator(tmp_path / "lab") as coordinator:
        with clients(coordinator, "softmax", names, delay_s=1.0) as people:
            run = coordinator.run(wanted, task("softmax", 3))
            people["c002"].said("training for round 1")
            people["c002"].kill()
            wait_for(lambda: run.view.round >= 1)
            people["c002"].start()
            run.wait(90)
        first = run.round(1)
        assert "quorum" in repr(first.why())
        outcomes = first.clients.df().set_index("client")["outcome"]
        assert outcomes["c002"] == "late"
        assert run.status is Status.FINISHED


def test_whoever_is_not_here_at_the_deadline_is_late(tmp_path, clients):
    wanted = plan(rounds=1, need=1, deadline_s=2.0)
    with flnb.Coordinator(tmp_path / "lab") as coordinator:
        with clients(coordinator, "softmax", ["c000", "c001"], delay_s=0.2) as people:
            people["c000"].said("waiting")
            people["c001"].said("waiting")
            people["c001"].process.send_signal(signal.SIGSTOP)
            run = coordinator.run(wanted, task("softmax", 2)).wait(60)
        outcomes = run.round(1).clients.df().set_index("client")
        assert outcomes["outcome"].to_dict() == {"c000": "accepted", "c001": "late"}
        assert "not here after 2 s" in outcomes.loc["c001", "reason"]


@pytest.mark.long
def test_a_failing_task_brings_its_traceback_home(tmp_path):
    learning = task("softmax", 2)
    with flnb.Coordinator(tmp_path / "lab") as coordinator:
        text = coordinator.invite("c000").text
        code = (
            "import sys, flnb.training\n"
            f"sys.path.insert(0, {str(SCRIPT.parent)!r})\n"
            "def broken(*_):\n    raise RuntimeError('the scanner is off')\n"
            "broken.__module__ = 'flnb.training'\n"
            "flnb.training.local_sgd = broken\n"
            "from remote_client import task\nfrom flnb.client import Client\n"
            f"Client({text!r}, task('softmax', 2), home={str(tmp_path / 'home')!r}).run()\n"
        )
        process = subprocess.Popen([sys.executable, "-c", code], cwd=SCRIPT.parent.parent.parent)
        try:
            run = coordinator.run(plan(rounds=1, invite=1), learning)
            with pytest.raises(flnb.FLBaseError, match="the scanner is off"):
                run.wait(60)
        finally:
            process.kill()
            process.wait(10)


@pytest.mark.long
def test_a_run_waits_for_its_clients_and_can_be_paused_meanwhile(tmp_path, clients):
    with flnb.Coordinator(tmp_path / "lab") as coordinator:
        coordinator.listen()
        run = coordinator.run(plan(), task("softmax", 2))
        time.sleep(0.5)
        assert run.status is Status.RUNNING
        assert run.view.round == 0
        run.pause().wait(10)
        assert run.status is Status.PAUSED
        with clients(coordinator, "softmax", ["c000", "c001"]):
            run.resume().wait(60)
        assert run.status is Status.FINISHED


def test_a_revoked_client_is_shut_out_and_hears_why(tmp_path, clients):
    with (
        flnb.Coordinator(tmp_path / "lab") as coordinator,
        clients(coordinator, "softmax", ["c000"]) as people,
    ):
        people["c000"].said("waiting")
        with pytest.raises(NotFoundError, match="c0000"):
            coordinator.revoke("c0000")
        coordinator.revoke("c000", "left the study")
        assert coordinator.clients[0].state == "revoked"
        people["c000"].said("left the study")
        assert people["c000"].process.wait(10) != 0


@pytest.mark.long  # forked ones are killed at more places in tests/faults/test_kills.py
@pytest.mark.parametrize("phase", ["assigned", "received"])
def test_a_killed_coordinator_carries_on_with_the_same_bits(tmp_path, phase, begin):
    """The clients stay; the next coordinator of the lab is found at the same address."""
    wanted = plan(rounds=5)
    expected = simulated_sha(tmp_path / "simulated", "wide", wanted)
    lab = tmp_path / "lab"
    with flnb.Coordinator(lab) as coordinator:
        coordinator.listen()
        texts = {name: coordinator.invite(name).text for name in ("c000", "c001")}
    service = (
        "import sys, flnb\n"
        "from tests.e2e.remote_client import plan, task\n"
        f"coordinator = flnb.Coordinator({str(lab)!r}).start()\n"
        "coordinator.listen()\n"
        "coordinator.run(plan(rounds=5), task('wide', 2), name='first').wait()\n"
    )
    process = subprocess.Popen([sys.executable, "-c", service], cwd=SCRIPT.parent.parent.parent)
    people = {
        name: begin(text, tmp_path / name, "wide", 2, delay_s=0.5 if name == "c001" else 0.1)
        for name, text in texts.items()
    }
    try:
        words = {
            "assigned": "training for round 3",
            "received": "the update for round 3 was received",
        }
        people["c000"].said(words[phase])
        family = psutil.Process(process.pid).children(recursive=True)
        process.kill()
        process.wait(10)
        psutil.wait_procs(family, 10)
        with flnb.Coordinator(lab) as coordinator:
            run = coordinator.lab.resume("first", task=task("wide", 2)).wait(90)
            assert run.parameters_sha256 == expected
            assert len(run.rounds.df()) == 5
    finally:
        process.kill()
        for one in people.values():
            one.end()
