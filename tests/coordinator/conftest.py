"""A lab in a temporary folder, a small task, and a coordinator that trains in this process."""

import pytest

import flnb


@pytest.fixture(autouse=True)
def _quiet(monkeypatch):
    monkeypatch.setenv("FLNB_PROGRESS", "off")


@pytest.fixture(scope="session")
def task():
    return flnb.tasks.digits(model="softmax", split=flnb.IID(clients=6, seed=0))


@pytest.fixture
def coord(tmp_path, task):
    with flnb.Coordinator(tmp_path / "lab") as coordinator:
        coordinator.simulate(task, workers=0)
        yield coordinator


@pytest.fixture
def plan():
    local = flnb.Local(epochs=1, batch_size=32, lr=0.1)
    return flnb.Plan(strategy=flnb.FedAvg(local=local), rounds=4, invite=4, seed=1)
