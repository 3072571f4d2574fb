"""A PostgreSQL server for all tests of this folder, and processes that are forked ready."""

from __future__ import annotations

import pytest

from flnb.processes import ForkServer
from tests.e2e.victims import Nursery
from tests.s3.servers import Moto
from tests.shared.postgres import PostgresServer, installed


@pytest.fixture(scope="session")
def postgres():
    if (programs := installed()) is None:
        pytest.skip("no PostgreSQL server is installed: apt-get install postgresql")
    server = PostgresServer(programs)
    yield server
    server.close()


@pytest.fixture
def state_url(postgres, tmp_path, monkeypatch):
    """Address for the state of a new shared lab; this process is a machine of its own."""
    monkeypatch.setenv("FLNB_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("DATABASE_URL", raising=False)
    return postgres.new_state()


@pytest.fixture(scope="session")
def fork_server():
    server = ForkServer.start(preload=("flnb.store.committing", "icechunk", "zarr", "psycopg"))
    yield server
    server.close()


@pytest.fixture(scope="session")
def nursery(interpreters):
    """Processes that have imported everything already."""
    nursery = Nursery(interpreters)
    yield nursery
    nursery.close()


@pytest.fixture(scope="session")
def bucket(tmp_path_factory):
    """An S3 server with a bucket."""
    server = Moto(tmp_path_factory.mktemp("s3"))
    server.make_bucket("models")
    yield server
    server.close()


@pytest.fixture
def address(place, request, tmp_path, monkeypatch):
    """Where the commits of a new lab lie: `folder` or `s3`."""
    if place == "folder":
        return tmp_path / "lab"
    for name, value in request.getfixturevalue("bucket").environment().items():
        monkeypatch.setenv(name, value)
    return f"s3://models/{tmp_path.name}"
