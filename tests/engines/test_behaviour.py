"""Simulated slowness and drop-out, drawn by name."""

from __future__ import annotations

import numpy as np
import pytest

from flnb.core.errors import PlanError
from flnb.engines import Behaviour
from tests.engines.cohorts import work_for

MANY = tuple(f"c{i:04}" for i in range(1500))


def test_the_rate_of_drop_out_is_the_one_asked_for(task):
    dropped = Behaviour(drop=0.2).dropped(work_for(clients=MANY))
    assert dropped.mean() == pytest.approx(0.2, abs=0.03)
    assert not Behaviour().dropped(work_for(clients=MANY)).any()


def test_lognormal_latency_has_its_median_at_one_second_and_the_given_width(task):
    seconds = Behaviour("lognormal:0.8").latencies_s(work_for(clients=MANY))
    assert np.median(seconds) == pytest.approx(1.0, abs=0.08)
    assert np.log(seconds).std() == pytest.approx(0.8, abs=0.05)


def test_a_number_is_the_latency_of_everybody(task):
    assert set(Behaviour(2.5).latencies_s(work_for())) == {2.5}


def test_what_happens_to_a_client_does_not_depend_on_who_else_is_invited(task):
    behaviour = Behaviour("lognormal", 0.5)
    all_of_them, some = work_for(clients=MANY), work_for(clients=MANY[5:50:3])
    assert (
        behaviour.latencies_s(some).tolist() == behaviour.latencies_s(all_of_them)[5:50:3].tolist()
    )
    assert behaviour.dropped(some).tolist() == behaviour.dropped(all_of_them)[5:50:3].tolist()


@pytest.mark.parametrize("other", [{"round": 4}, {"attempt": 1}, {"seed": 8}])
def test_another_round_attempt_or_seed_goes_another_way(task, other):
    behaviour = Behaviour("lognormal", 0.5)
    one, another = work_for(clients=MANY), work_for(clients=MANY, **other)
    assert (behaviour.latencies_s(one) != behaviour.latencies_s(another)).all()
    assert (behaviour.dropped(one) != behaviour.dropped(another)).any()


@pytest.mark.parametrize(
    "slow", ["slowly", "lognormal:wide", "lognormal:-1", -1.0, float("nan"), float("inf")]
)
def test_a_latency_that_cannot_be_read_is_refused(slow):
    with pytest.raises(PlanError, match="is no latency"):
        Behaviour(slow)


@pytest.mark.parametrize("drop", [-0.1, 1.0, float("nan")])
def test_a_drop_rate_out_of_range_is_refused_with_its_value(drop):
    with pytest.raises(PlanError, match=f"got {drop}"):
        Behaviour(drop=drop)
