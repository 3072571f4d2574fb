"""A process stops where a test asked for it, and nowhere else."""

import os
import signal
import subprocess
import sys

import pytest

PROGRAM = """
import sys
from flnb.core.failpoints import reach
for place in ["first", "second", "first"]:
    reach(place)
    print(place, flush=True)
"""


@pytest.fixture
def start():
    started = []

    def run(**environment):
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM],
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()


def stops(process):
    _, status = os.waitpid(process.pid, os.WUNTRACED)
    assert os.WIFSTOPPED(status), f"ended with {status}, did not stop"
    process.kill()
    return process.communicate()[0].split()


def test_without_being_asked_nothing_stops(start):
    assert start().communicate()[0].split() == ["first", "second", "first"]


def test_it_stops_at_the_place_that_was_named(start):
    assert stops(start(FLNB_FAILPOINT="second")) == ["first"]


def test_it_stops_at_the_nth_time_that_was_named(start):
    assert stops(start(FLNB_FAILPOINT="first:2")) == ["first", "second"]


def test_a_stopped_process_can_go_on(start):
    process = start(FLNB_FAILPOINT="second")
    os.waitpid(process.pid, os.WUNTRACED)
    process.send_signal(signal.SIGCONT)
    assert process.communicate()[0].split() == ["first", "second", "first"]


def test_the_log_lists_every_place_reached(start, tmp_path):
    log = tmp_path / "places"
    start(FLNB_FAILPOINT_LOG=str(log)).communicate()
    assert log.read_text().split() == ["first", "second", "first"]
