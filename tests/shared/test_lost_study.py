"""A runner that stood still until another one took its study writes nothing of it any more."""

import os
import signal
import subprocess
import sys
import time

import pytest

import flnb
from flnb.experiments.holding import runner_of
from flnb.store import Outcome
from tests.experiments.recipes import write_recipe

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.timeout(240)]

RUNNER = """
import sys, flnb
from flnb.experiments import holding
holding.LEASE_S, holding.RENEW_S = 2.0, 0.2
lab = flnb.open(sys.argv[1], state=sys.argv[2])
lab.study("lost", sys.argv[3], {"alpha": [0.1, 0.2]}).run()
"""
WAITS = """
import os, time
from pathlib import Path
Path(f"begun-{alpha}-{os.environ['WHO']}").touch()
while not Path("go").exists():
    time.sleep(0.05)
"""


def until(condition, timeout_s=120.0):
    ends_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < ends_s, "it never came true"
        time.sleep(0.05)


@pytest.fixture
def begin(address, state_url, tmp_path):
    """Starts a runner on a machine of its own."""
    begun = []

    def make(who):
        environment = {"WHO": who, "FLNB_PROGRESS": "off", "FLNB_CACHE_DIR": str(tmp_path / who)}
        arguments = [str(address), state_url, str(tmp_path / "r.ipynb")]
        process = subprocess.Popen(
            [sys.executable, "-c", RUNNER, *arguments],
            env={**os.environ, **environment},
            stderr=subprocess.PIPE,
        )
        begun.append(process)
        return process

    yield make
    for process in begun:
        process.kill()
        process.communicate()


@pytest.mark.long
@pytest.mark.parametrize("place", ["folder"])
def test_a_runner_that_lost_its_study_leaves_its_rows_alone(begin, address, state_url, tmp_path):
    write_recipe(tmp_path / "r.ipynb", WAITS)
    lab = flnb.open(address, state=state_url)
    first = begin("first")
    until((tmp_path / "begun-0.1-first").exists)
    first.send_signal(signal.SIGSTOP)
    until(lambda: runner_of(lab.store, "lost") is None)

    second = begin("second")
    until((tmp_path / "begun-0.1-second").exists)
    (tmp_path / "go").touch()
    assert second.wait() == 0, second.stderr.read()
    rows = lab.store.state.study_cells("lost")
    assert [cell.outcome for cell in rows] == [Outcome.FINISHED] * 2

    first.send_signal(signal.SIGCONT)
    _, said = first.communicate(timeout=120)
    assert first.returncode != 0
    assert "StudyHeldError" in said.decode()
    assert lab.store.state.study_cells("lost") == rows
    assert not (tmp_path / "begun-0.2-first").exists()
    lab.store.close()
