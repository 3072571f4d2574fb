"""A coordinator that listens, and people who hold it over real sockets."""

import time

import pytest

import flnb


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
