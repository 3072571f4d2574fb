"""A lab in a temporary folder, a small task, and a coordinator that trains in this process."""

import time

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


@pytest.fixture
def person(coord):
    """Makes a connection in a role; all are closed at the end."""
    made = []

    def connect(role="operator", name="dr-lee"):
        made.append(flnb.connect(coord.token(name, role=role).text))
        return made[-1]

    yield connect
    for connection in made:
        connection.close()


@pytest.fixture
def until():
    """Waits for something that happens in another thread or process."""

    def wait(true, timeout_s=20):
        deadline_s = time.monotonic() + timeout_s
        while not true():
            assert time.monotonic() < deadline_s
            time.sleep(0.01)

    return wait
