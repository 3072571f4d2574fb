"""One nursery for all processes of these tests."""

from __future__ import annotations

import pytest

from tests.e2e.victims import PRELOAD, Nursery


@pytest.fixture(scope="session")
def nursery(tmp_path_factory):
    """Processes that have imported everything already."""
    preload = (*PRELOAD, "flnb.client", "flnb.coordinator.remote.front", "tests.e2e.remote_client")
    nursery = Nursery(tmp_path_factory.mktemp("faults"), preload)
    yield nursery
    nursery.close()
