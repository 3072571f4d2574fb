"""One lab with a finished run for all tests that only read it."""

import pytest

import flnb
from flnb.dashboards.targets import LabTarget


@pytest.fixture(scope="session")
def lab(tmp_path_factory):
    lab = flnb.open(tmp_path_factory.mktemp("pages") / "lab")
    task = flnb.tasks.digits(split=flnb.IID(clients=6, seed=1))
    local = flnb.Local(lr=0.1)
    plan = flnb.Plan(strategy=flnb.FedAvg(local=local), rounds=4, invite=4, commit_every=1, seed=7)
    with flnb.Coordinator(lab) as coordinator:
        coordinator.simulate(task, workers=1)
        coordinator.run(plan, task, name="finished").wait()
    return lab


@pytest.fixture
def target(lab):
    return LabTarget(lab)
