"""A client that is killed comes back with the state that belongs to what it has sent."""

from pathlib import Path

import numpy as np
import pytest

import flnb
from flnb.coordinator.jobs import first_version
from tests.e2e.remote_client import plan, task
from tests.faults.test_kills import ended

pytestmark = pytest.mark.timeout(300)

SCRIPT = Path(__file__).parent / "stateful.py"
ROUNDS = 4
UPDATES = [2.0**-number for number in range(1, ROUNDS + 1)]
"""What the client sends, if it forgets nothing and counts no round twice."""
PLACES = ("client-training:3", "client-signed:3", "client-received:2")


def check(nursery, folder, places):
    learning, wanted = task("softmax", 1), plan(rounds=ROUNDS, invite=1)
    expected = first_version(wanted, learning).model.values + sum(UPDATES)
    with flnb.Coordinator(folder / "lab") as coordinator:
        for number, place in enumerate(places):
            arguments = (SCRIPT, folder / f"home-{number}", coordinator.invite("c000").text)
            victim = nursery.begin("script", *map(str, arguments), failpoint=place)
            run = coordinator.run(wanted, learning)
            victim.stopped()
            victim.kill()
            with ended(nursery.begin("script", *map(str, arguments))):
                run.wait(60)
            assert np.allclose(run.model().values, expected, atol=1e-6), place


def test_a_killed_client_remembers_what_it_has_sent(nursery, tmp_path):
    check(nursery, tmp_path, ["client-trained:3", "client-remembered:3"])


@pytest.mark.long
def test_a_client_killed_anywhere_remembers_what_it_has_sent(nursery, tmp_path):
    check(nursery, tmp_path, PLACES)
