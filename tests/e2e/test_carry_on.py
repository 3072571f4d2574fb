"""Runs that were paused, stopped or held up go on as if nothing had happened; commands are never lost."""

import os
import re
import shutil
import signal
import subprocess
import time

import numpy as np
import pytest

import flnb
from flnb.core.errors import (
    InsufficientClientsError,
    RoundStateError,
    StorageFullError,
    WorkerDiedError,
)
from flnb.core.view import Status
from tests.e2e.crash_subject import NAME, Net, note, plan, task, to_the_end
from tests.e2e.victims import differences, python

LONG = 100_000
"""Rounds that nobody waits for."""


@pytest.fixture(autouse=True)
def _quiet(monkeypatch):
    monkeypatch.setenv("FLNB_PROGRESS", "off")


@pytest.fixture(scope="module")
def digits():
    return task()


@pytest.fixture
def begin(digits):
    """Start a run of the crash subject in this process."""

    def begin(coordinator, **changes):
        coordinator.simulate(digits, slow="lognormal:0.8", drop=0.25, workers=0)
        return coordinator.run(plan().replace(**changes), digits, name=NAME)

    return begin


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 24 MB, which needs the right to mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small disk needs the rights of root")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def until(run, reached):
    """Wait until a picture of the run shows it."""
    give_up = time.monotonic() + 60
    while not reached(run.view):
        assert time.monotonic() < give_up, run
        time.sleep(0.005)


def test_pauses_change_nothing(begin, undisturbed, tmp_path):
    with flnb.Coordinator(tmp_path / "lab") as coordinator:
        run = begin(coordinator)
        for round_number in (1, 3):
            until(run, lambda view, n=round_number: view.round >= n)
            run.pause().wait()
            run.resume()
        to_the_end(run)
        note(coordinator.lab)
    assert differences(tmp_path / "lab", undisturbed) == []


def test_coordinators_that_are_stopped_and_started_change_nothing(begin, undisturbed, tmp_path):
    with flnb.Coordinator(tmp_path / "lab") as coordinator:
        until(begin(coordinator), lambda view: view.round >= 2)
    assert flnb.open(tmp_path / "lab").run(NAME).status is Status.PAUSED
    with flnb.Coordinator(tmp_path / "lab") as coordinator:
        to_the_end(coordinator.lab.resume(NAME))
        note(coordinator.lab)
    assert differences(tmp_path / "lab", undisturbed) == []


def test_too_few_updates_pause_the_run_and_the_next_attempt_invites_others(begin, tmp_path):
    with flnb.Coordinator(tmp_path / "lab") as coordinator:
        run = begin(coordinator)
        with pytest.raises(InsufficientClientsError, match="round 5 needs 5 updates, 4 were"):
            run.wait()
        assert (run.status, run.view.round) == (Status.PAUSED, 4)
        to_the_end(run.resume())
        (attempt,) = coordinator.lab.store.state.attempts(run.id)
        assert attempt.counts["lost"] == 4
        assert "1 earlier attempts had too few" in run.round(5).why()


def test_a_full_disk_pauses_the_run_and_tears_nothing(begin, undisturbed, small_disk, caplog):
    """The less is left, the earlier it is full: at the start, in a commit, in a closing."""
    for left in (60_000, 200_000, 400_000):
        lab = small_disk / f"lab-{left}"
        with flnb.Coordinator(lab) as coordinator:
            coordinator.flush()  # the tables are a large file, once it is made
            ballast = small_disk / "ballast"
            ballast.write_bytes(bytes(shutil.disk_usage(small_disk).free - left))
            run = begin(coordinator)
            with pytest.raises(StorageFullError, match="no space left"):
                to_the_end(run)
            assert run.status is Status.PAUSED
            ballast.unlink()
            to_the_end(run.resume())
            note(coordinator.lab)
        assert differences(lab, undisturbed) == []
        shutil.rmtree(lab)


def test_a_disk_that_is_still_full_lets_the_coordinator_go(begin, small_disk, caplog):
    with flnb.Coordinator(small_disk / "lab") as coordinator:
        coordinator.flush()
        ballast = small_disk / "ballast"
        ballast.write_bytes(bytes(shutil.disk_usage(small_disk).free - 300_000))
        with pytest.raises(StorageFullError):
            to_the_end(begin(coordinator))
        (small_disk / "last").write_bytes(bytes(shutil.disk_usage(small_disk).free))
    with pytest.raises(StorageFullError):
        flnb.Coordinator(small_disk / "lab").start()
    ballast.unlink()
    with flnb.Coordinator(small_disk / "lab") as coordinator:
        to_the_end(coordinator.lab.resume(NAME))


class Fragile(Net):
    """Cannot bear some examples: ones of 2 raise, ones of 3 end the process."""

    def forward(self, images):
        if (images == 2).any():
            raise ArithmeticError("a two")
        if (images == 3).any():
            os.kill(os.getpid(), signal.SIGKILL)
        return super().forward(images)


def spoilt(digits, **spoilt_by):
    """The task, with all examples of some clients replaced by a number."""
    x = digits.data.train.x.copy()
    for client, value in spoilt_by.items():
        x[digits.data.split.indices(client)] = value
    test = (digits.data.test.x, digits.data.test.y)
    return flnb.Task(
        model=Fragile, train=(x, digits.data.train.y), test=test, split=digits.data.split
    )


def run_with(coordinator, spoilt_task):
    coordinator.simulate(spoilt_task, workers=2)
    everybody = flnb.Plan(sampling="all", rounds=2, need=5)
    return coordinator.run(everybody, spoilt_task, name=NAME)


def test_clients_that_are_not_finite_or_raise_are_left_out_and_the_round_goes_on(digits, tmp_path):
    bad = spoilt(digits, c001=float("nan"), c002=2)
    with flnb.Coordinator(tmp_path / "lab") as coordinator:
        run = run_with(coordinator, bad).wait()
        why = run.round(2).why()
        assert "12 invited · 10 used · 1 refused · 1 failed" in why
        assert re.search("c001 refused: .*NaN", why)
        assert re.search(r"c002 failed: .*in forward\n.*\nArithmeticError: a two", why)
        assert np.isfinite(run.model().values).all()


def test_a_client_that_ends_every_worker_pauses_the_run_with_its_name(digits, tmp_path):
    with flnb.Coordinator(tmp_path / "lab") as coordinator:
        run = run_with(coordinator, spoilt(digits, c003=3))
        with pytest.raises(WorkerDiedError, match="client c003: 4 workers died over this"):
            run.wait()
        assert run.status is Status.PAUSED


def test_a_pause_that_comes_before_the_run_has_begun_is_obeyed(begin, tmp_path):
    with flnb.Coordinator(tmp_path / "lab") as coordinator:
        run = begin(coordinator, rounds=LONG).pause().wait()
        assert (run.status, run.view.round) == (Status.PAUSED, 1)


def test_a_coordinator_that_is_stopped_at_once_does_not_wait_for_the_run(begin, tmp_path):
    coordinator = flnb.Coordinator(tmp_path / "lab").start()
    run = begin(coordinator, rounds=LONG)
    coordinator.stop()
    assert (run.status, run.view.round) == (Status.PAUSED, 0)


def test_a_pause_that_is_taken_back_at_any_moment_is_not_obeyed(begin, tmp_path):
    with flnb.Coordinator(tmp_path / "lab") as coordinator:
        run = begin(coordinator, rounds=LONG, need=1)
        for wait_ms in range(20):
            run.pause()
            time.sleep(wait_ms / 1000)
            run.resume()
        before = run.view.round
        until(run, lambda view: view.round > before + 1)
        assert run.status is Status.RUNNING


def test_a_run_that_goes_is_not_driven_twice_by_resume(begin, tmp_path):
    with flnb.Coordinator(tmp_path / "lab") as coordinator:
        run = begin(coordinator)
        again = coordinator.lab.resume(NAME)
        assert again.view is run.view
        to_the_end(run)
        assert [row["round"] for row in run.rounds] == [1, 2, 3, 4, 5, 6]


def test_a_run_that_rests_can_be_stopped_for_good(begin, tmp_path):
    with flnb.Coordinator(tmp_path / "lab") as coordinator:
        run = begin(coordinator, rounds=LONG).pause().wait()
        assert run.stop().status is Status.STOPPED
        with pytest.raises(RoundStateError, match="is stopped"):
            run.resume()


def test_every_handle_of_a_run_shows_the_same_picture(begin, tmp_path):
    with flnb.Coordinator(tmp_path / "lab") as coordinator:
        run = begin(coordinator)
        other = coordinator.lab.run(NAME)
        to_the_end(run)
        assert other.view is run.view


SCRIPT = """
import sys, time
import flnb
from torch import nn
coordinator = flnb.Coordinator(sys.argv[1]).start()
few = [[0.0, 1.0], [1.0, 0.0]] * 4, [0, 1] * 4
task = flnb.Task(model=lambda: nn.Linear(2, 2), train=few, test=few, split=flnb.IID(clients=2))
coordinator.simulate(task, workers=0)
run = coordinator.run(flnb.Plan(rounds=100_000, invite=2), task, name="left")
while run.view.round < 2:
    time.sleep(0.01)
"""


def test_a_script_that_ends_with_a_run_under_way_saves_it_and_ends(tmp_path):
    with python("-c", SCRIPT, tmp_path / "lab") as process:
        complaints = process.communicate(timeout=100)[1]
    assert (process.returncode, complaints) == (0, "")
    left = flnb.open(tmp_path / "lab").run("left")
    assert left.status is Status.PAUSED
    assert left.parameters_sha256, "its last round is in history"
