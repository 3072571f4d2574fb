"""A coordinator that stands still: no client is lost, no round fails, and the stall is an event.

In the default lane a stall is three times as long as clients may be silent; in the long lane it has
its full length and limits are the usual ones.
"""

import os
import signal
import time

import pytest

import flnb
from tests.e2e.victims import await_
from tests.faults.lanes import NAMES, simulated_sha
from tests.faults.service import NAME
from tests.faults.test_kills import SERVICE, begin_client, complaint, ended, invited

ROUNDS = 3
SHORT_LEASE_S, LEASE_S = 2, 120

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    return simulated_sha(tmp_path_factory.mktemp("simulated") / "lab", "softmax", ROUNDS)


def stood_still(nursery, folder, *, lease_s, hold_s=0, stop_s=0.0):
    """Let a coordinator stand still in its second round, then go on to its end."""
    lab = folder / "lab"
    clients = begin_client(nursery, folder, "softmax", invited(lab).values(), delay_s=0.3)
    arguments = (lab, "softmax", ROUNDS, len(NAMES), lease_s, hold_s)
    service = nursery.begin("script", SERVICE, *map(str, arguments))
    with ended(clients):
        if stop_s:
            log = folder / f"{NAMES[0]}.log"
            await_(lambda: log.exists() and "for round 2" in log.read_text(), "no second round")
            os.kill(service.pid, signal.SIGSTOP)
            time.sleep(stop_s)
            os.kill(service.pid, signal.SIGCONT)
        service.wait()
    return flnb.open(lab)


def check(lab, expected, stalled_s):
    run = lab.run(NAME)
    assert complaint(lab, run, expected) == ""
    stalls = [row["detail"] for row in run.events if row["kind"] == "stalled"]
    seconds = [float(detail.split()[-2]) for detail in stalls]
    assert [second for second in seconds if second > 0.7 * stalled_s], stalls


def test_a_call_that_holds_the_interpreter_lock_loses_no_client(nursery, tmp_path, expected):
    lab = stood_still(nursery, tmp_path, lease_s=SHORT_LEASE_S, hold_s=3 * SHORT_LEASE_S)
    check(lab, expected, 3 * SHORT_LEASE_S)


def test_a_stopped_coordinator_loses_no_client(nursery, tmp_path, expected):
    lab = stood_still(nursery, tmp_path, lease_s=SHORT_LEASE_S, stop_s=3.0 * SHORT_LEASE_S)
    check(lab, expected, 3 * SHORT_LEASE_S)


@pytest.mark.long
def test_a_call_of_twenty_seconds_loses_no_client(nursery, tmp_path, expected):
    check(stood_still(nursery, tmp_path, lease_s=LEASE_S, hold_s=20), expected, 20)


@pytest.mark.long
def test_a_coordinator_that_was_stopped_for_a_minute_loses_no_client(nursery, tmp_path, expected):
    check(stood_still(nursery, tmp_path, lease_s=LEASE_S, stop_s=60.0), expected, 60)
