"""Random faults of the line between clients and their coordinator: the result is right, or says why.

Each schedule follows from its seed. If its faults end, the run ends with the parameters of the
simulated engine, and no row is counted twice. Only a fault that stays may end it, with a reason.
Lines with TLS may carry any wrong bit. Without TLS only chunks are spoiled: they have hashes, notes
rely on TCP (`docs/remote-clients.md`).
"""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.faults.lanes import lane, simulated_sha
from tests.faults.proxy import schedule

KINDS = (("softmax", True), ("wide", True), ("softmax", False), ("wide", False))
PERMANENT_EVERY = 15
"""One schedule in so many has a fault that stays."""


def schedules(count, within_s, lane_number):
    """The part of all schedules that one lane goes through."""
    seeds = range(lane_number, count, len(KINDS))
    return [
        schedule(seed, within_s, permanent=seed % PERMANENT_EVERY == PERMANENT_EVERY - 1)
        for seed in seeds
    ]


def suffered(here, schedules):
    """Go through a lane's schedules: what went wrong, by seed."""
    with here as lane:
        complaints = {schedule.seed: lane.suffer(schedule) for schedule in schedules}
    return {seed: complaint for seed, complaint in complaints.items() if complaint}


def check(nursery, folder, *, count, within_s, rounds):
    # One after the other, for they share torch's random state.
    models = {model for model, _ in KINDS}
    expected = {model: simulated_sha(folder / model, model, rounds) for model in models}
    with ThreadPoolExecutor(len(KINDS)) as pool:
        work = []
        for number, (model, tls) in enumerate(KINDS):
            place = folder / f"lane-{number}"
            here = lane(nursery, place, model, expected[model], tls=tls, rounds=rounds)
            work.append(pool.submit(suffered, here, schedules(count, within_s, number)))
        wrong = {seed: text for each in work for seed, text in each.result().items()}
    assert not wrong, "\n\n".join(f"seed {seed}: {text}" for seed, text in sorted(wrong.items()))


@pytest.mark.timeout(600)
def test_the_result_is_right_whatever_happens_to_the_line(nursery, tmp_path):
    check(nursery, tmp_path, count=30, within_s=1.5, rounds=4)


@pytest.mark.long
@pytest.mark.timeout(5400)
def test_the_result_is_right_after_two_hundred_schedules(nursery, tmp_path):
    check(nursery, tmp_path, count=200, within_s=8.0, rounds=20)
