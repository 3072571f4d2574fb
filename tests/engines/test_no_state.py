"""Simulated clients keep no state between rounds, and say so."""

from dataclasses import replace

import numpy as np

from flnb.core import Outcome
from flnb.engines import SequentialEngine
from flnb.training import local_sgd
from tests.engines.cohorts import make_task, work_for


def remembers(resident, base, work, client):
    result = local_sgd(resident, base, work, client)
    return replace(result, state={"control": np.zeros(3, np.float32)})


def test_a_half_that_remembers_fails_in_a_simulation_and_says_why(monkeypatch):
    monkeypatch.setattr("flnb.training.local_sgd", remembers)
    task = make_task()
    engine = SequentialEngine(task)
    engine.begin(work_for(), task.initial_model(1))
    report = engine.collect()
    assert set(report.outcome) == {Outcome.FAILED}
    assert "remembers control: simulated clients keep no state" in report.reasons[0]
    engine.close()
