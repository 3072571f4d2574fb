"""One nursery, and one run that nobody disturbed, for all crash tests."""

import pytest

from tests.e2e.victims import Nursery, outcome, places


@pytest.fixture(scope="session")
def nursery(interpreters):
    nursery = Nursery(interpreters)
    yield nursery
    nursery.close()


@pytest.fixture(scope="session")
def undisturbed(nursery, tmp_path_factory):
    """What the lab holds after a run that nobody killed."""
    folder = tmp_path_factory.mktemp("undisturbed")
    nursery.run("start", folder / "lab", log=folder / "log")
    found = outcome(folder / "lab")
    found["places"] = places(folder / "log")
    return found
