"""The coordinator's disk is full: updates wait or the run pauses with a reason, and nothing is torn."""

import os
import subprocess
from contextlib import contextmanager

import pytest

import flnb
from flnb.core.errors import StorageFullError
from flnb.core.view import Status
from flnb.store.disk import free_bytes
from tests.e2e.remote_client import plan, task
from tests.e2e.victims import await_
from tests.faults.lanes import NAMES, miscounted, simulated_sha
from tests.faults.test_kills import begin_client, ended

pytestmark = pytest.mark.timeout(200)

ROUNDS = 3
SMALL, LARGE = "softmax", "wide"
"""Updates of 2.6 kB, which come with their offers, and of 1.2 MB, which need room in the spool."""


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 40 MB, which needs the right to mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=40m", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small disk needs the rights of root")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextmanager
def ballast(folder, *, leave):
    """Fill a disk up to so many bytes, and empty it again."""
    file = folder / "ballast"
    try:
        file.write_bytes(bytes(max(0, free_bytes(folder) - leave)))
    except OSError:  # somebody else took room meanwhile: now it is full
        os.truncate(file, max(0, file.stat().st_size - leave))
    yield
    file.unlink(missing_ok=True)


def begun(coordinator, nursery, folder, model):
    """A run under way, with its clients."""
    invites = [coordinator.invite(name).text for name in NAMES]
    clients = begin_client(nursery, folder, model, invites, delay_s=0.3)
    run = coordinator.run(plan(rounds=ROUNDS, commit_every=ROUNDS), task(model, len(NAMES)))
    return run, clients


def test_updates_wait_for_a_full_disk_and_nothing_is_torn(nursery, tmp_path, small_disk, caplog):
    expected = simulated_sha(tmp_path / "simulated", LARGE, ROUNDS)
    with flnb.Coordinator(small_disk / "lab") as coordinator:
        run, clients = begun(coordinator, nursery, tmp_path, LARGE)
        with ended(clients):
            await_(lambda: coordinator.clients and run.view.invited, "no round")
            with ballast(small_disk, leave=1_000_000):  # the journal has room, an update has not
                await_(lambda: "waits until there is room" in caplog.text, "nothing waited")
                assert run.status is Status.RUNNING
            run.wait(90)
        coordinator.flush()
        assert run.parameters_sha256 == expected
        assert miscounted(coordinator.lab, run, ROUNDS) == ""


def test_a_run_pauses_when_its_journal_finds_no_room_and_goes_on_with_room(
    nursery, tmp_path, small_disk
):
    expected = simulated_sha(tmp_path / "simulated", SMALL, ROUNDS)
    with flnb.Coordinator(small_disk / "lab") as coordinator:
        run, clients = begun(coordinator, nursery, tmp_path, SMALL)
        with ended(clients):
            await_(lambda: run.view.round >= 1, "no round")
            with ballast(small_disk, leave=0), pytest.raises(StorageFullError, match="no space"):
                run.wait(60)
            assert run.status is Status.PAUSED
            coordinator.lab.resume(run).wait(90)
        coordinator.flush()
        assert run.parameters_sha256 == expected
        assert miscounted(coordinator.lab, run, ROUNDS) == ""
