"""One nursery for all processes of these tests."""

from __future__ import annotations

import pytest

from tests.e2e.victims import Nursery


@pytest.fixture(scope="session")
def nursery(interpreters):
    """Processes that have imported everything already."""
    nursery = Nursery(interpreters)
    yield nursery
    nursery.close()
