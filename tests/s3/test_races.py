"""Many processes and one branch in S3; and a writer that is killed again and again."""

import os
import random
import signal
import time

import numpy as np
import pytest

from flnb.store import History, HistoryWriter
from flnb.testing.stores import same_bits, sample_groups

RACERS = 8


@pytest.fixture
def racers(server, place, fork_server):
    found = [fork_server.fork("tests.s3.racers:race") for _ in range(RACERS)]
    for number, racer in enumerate(found):
        racer.channel.send((place, server.environment(), number))
    yield found
    for racer in found:
        racer.close()


def test_of_eight_processes_that_commit_at_once_exactly_one_wins(place, racers):
    history = History(place)
    history.write("r", {"parameters": np.zeros(10, np.float32)}, {"by": None})
    for _ in range(3):
        for racer in racers:
            racer.channel.send("commit")
        assert [racer.channel.recv(30) for racer in racers] == ["ready"] * RACERS
        for racer in racers:
            racer.channel.send("go")
        answers = [racer.channel.recv(30) for racer in racers]
        (winner,) = [number for number, snapshot in enumerate(answers) if snapshot]
        assert history.meta(answers[winner]) == {"by": winner}
        assert history.read(answers[winner])["parameters"].tolist() == [winner] * 10


def killed_commits(place, fork_server, times):
    """Kill the writer so often, each time somewhere within a commit; what is named is whole."""
    writer, history = HistoryWriter(place, fork_server=fork_server), History(place)
    chance, named, took_s = random.Random(1), {}, 0.0
    for step in range(2 * times + 1):
        began_s = time.monotonic()
        ticket = writer.submit("r", sample_groups(step), {})
        if step % 2:
            time.sleep(chance.uniform(0.0, took_s))  # as long as the commit before took, at most
            os.kill(writer.pid, signal.SIGKILL)
        named[step] = ticket.wait(30)
        took_s = time.monotonic() - began_s if not step % 2 else took_s
        assert same_bits(history.read(named[step]), sample_groups(step))
    assert all(same_bits(history.read(named[step]), sample_groups(step)) for step in named)
    writer.reset("r", named[times])
    after = writer.submit("r", sample_groups(7), {}).wait(30)
    writer.close()
    assert same_bits(history.read(after), sample_groups(7))


def test_a_writer_that_is_killed_in_its_commits_tears_nothing(place, fork_server):
    killed_commits(place, fork_server, times=5)


@pytest.mark.long
def test_a_writer_that_is_killed_fifty_times_tears_nothing(place, fork_server):
    killed_commits(place, fork_server, times=50)
