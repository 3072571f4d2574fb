"""The task that most tests here train."""

from __future__ import annotations

import pytest

from tests.engines.cohorts import make_task


@pytest.fixture(scope="session")
def task():
    return make_task()


@pytest.fixture(scope="session")
def model(task):
    return task.initial_model(11)
