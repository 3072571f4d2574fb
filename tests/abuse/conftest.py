"""One coordinator in its own process for all tests that leave it as it was; coroutines as tests."""

import asyncio
import inspect

import pytest

from tests.abuse.served import service


def pytest_pyfunc_call(pyfuncitem):
    """Run a test that is a coroutine on a loop of its own."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = pyfuncitem._fixtureinfo.argnames
    asyncio.run(pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in names}))
    return True


@pytest.fixture(scope="session")
def served(tmp_path_factory, interpreters):
    with service(interpreters, tmp_path_factory.mktemp("served")) as running:
        yield running
