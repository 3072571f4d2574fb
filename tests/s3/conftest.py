"""An S3 server for all tests of this folder: moto, and with `-m s3` a Ceph."""

from __future__ import annotations

import secrets

import pytest

from flnb.processes import ForkServer
from flnb.store.place import HistoryPlace
from tests.s3 import ceph
from tests.s3.line import Line
from tests.s3.servers import Moto, strict_moto

BUCKET = "lab"
PRELOAD = ("flnb.store.committing", "icechunk", "zarr", "tests.s3.racers", "tests.s3.collecting")


@pytest.fixture(scope="session", params=["moto", pytest.param("ceph", marks=pytest.mark.s3)])
def server(request, tmp_path_factory):
    if request.param == "ceph" and not ceph.installed():
        pytest.skip("apt-get install radosgw ceph-mon ceph-osd ceph-mgr")
    server = ceph.Ceph() if request.param == "ceph" else Moto(tmp_path_factory.mktemp("s3"))
    server.make_bucket(BUCKET)
    yield server
    server.close()


@pytest.fixture(scope="session")
def strict(server, tmp_path_factory):
    """A server that checks keys, with somebody who has no rights."""
    if server.checks_keys:
        yield server.strict()
        return
    moto, strict = strict_moto(tmp_path_factory.mktemp("strict"))
    yield strict
    moto.close()


@pytest.fixture(scope="session")
def fork_server():
    server = ForkServer.start(preload=PRELOAD)
    yield server
    server.close()


@pytest.fixture
def place(server, monkeypatch):
    """An empty place in the bucket, with the environment that leads to it."""
    for name, value in server.environment().items():
        monkeypatch.setenv(name, value)
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL_S3", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    return HistoryPlace.parse(f"s3://{BUCKET}/{secrets.token_hex(6)}")


@pytest.fixture
def line(server, place, monkeypatch):
    """A line to the server on which things go wrong; the environment leads over it."""
    line = Line(server.port)
    monkeypatch.setenv("AWS_ENDPOINT_URL", line.url)
    yield line
    line.close()
