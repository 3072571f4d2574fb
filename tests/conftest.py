"""What all tests share: one torch thread, bounded examples, a check for leaks, real data on request.

What would be done again for each test and proves nothing more is done once: fork servers import what
a writer of commits needs before they fork it, and cycles are not looked for among modules.

Real data lies outside the repository; `FLNB_DATA_DIR` names its folder. A test that needs it says
so with the marker `data` and is skipped, with this reason, when nobody has set the variable.
"""

from __future__ import annotations

import contextlib
import gc
import os
import threading
import time
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from tests.interpreters import Interpreters

os.environ["OMP_NUM_THREADS"] = "1"  # before torch is imported; its worker processes inherit it

BEGIN_FIRST = [
    *("e2e", "experiments", "notebooks", "faults", "shared", "papers", "cli", "service", "s3"),
    *("abuse", "coordinator"),
]
"""Folders whose files take longest: `make test` hands files out in this order."""

gc.disable()  # until all modules are imported: what they make is no garbage

# The same examples on every run of the same code; `make test-long` looks further, at random.
settings.register_profile(
    "bounded",
    max_examples=50,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("long", max_examples=2000, deadline=None, print_blob=True)
settings.load_profile("bounded")


@pytest.fixture
def data_dir() -> Path:
    """Folder of the real data; for tests with the marker `data`."""
    return Path(os.environ["FLNB_DATA_DIR"])


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # Else one process has minutes left when the others are done. Within a folder the order stays.
    ranks = {f"tests/{folder}": rank for rank, folder in enumerate(BEGIN_FIRST)}
    items.sort(key=lambda item: ranks.get("/".join(item.nodeid.split("/")[:2]), len(ranks)))
    folder = os.environ.get("FLNB_DATA_DIR")
    if folder and not Path(folder).is_dir():
        raise pytest.UsageError(f"FLNB_DATA_DIR={folder} is not a folder")
    if not folder:
        reason = "set FLNB_DATA_DIR to the folder that holds mnist, shakespeare and heart"
        for item in items:
            if item.get_closest_marker("data"):
                item.add_marker(pytest.mark.skip(reason=reason))


def pytest_collection_finish() -> None:
    gc.enable()
    gc.collect()
    gc.freeze()  # hundreds of thousands of objects that stay for ever, gone through in each full search


def pytest_unconfigure() -> None:
    gc.unfreeze()  # libraries look for leaks at exit


@pytest.fixture(scope="session", autouse=True)
def _writers_are_forked_ready() -> Iterator[None]:
    """Let a fork server import what a writer needs before the first one; else each of them does."""
    from flnb.processes import ForkServer, Worker  # after the hook that checks calls

    fork, prepared = ForkServer.fork, weakref.WeakSet[ForkServer]()

    def ready(server: ForkServer, entry: str, **given: Any) -> Worker:
        if entry.startswith("flnb.store.") and server not in prepared:
            prepared.add(server)
            server.preload((entry.partition(":")[0], "icechunk", "zarr"))
        return fork(server, entry, **given)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ForkServer, "fork", ready)
        yield


@pytest.fixture(scope="session")
def interpreters(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Interpreters]:
    """Programs in processes of their own, without the seconds that an interpreter takes to start."""
    from tests.interpreters import Interpreters  # after the hook that checks calls

    started = Interpreters(tmp_path_factory.mktemp("interpreters"))
    yield started
    started.close()


@pytest.fixture
def no_leaks() -> Iterator[None]:
    """Fail the test if a thread, an open file or a child process outlives it."""
    before = _held()
    yield
    gc.collect()  # reference cycles hold files
    patience = time.monotonic() + 2.0
    while grown := _held() - before:
        if time.monotonic() > patience:
            pytest.fail(f"still there after the test: {', '.join(sorted(grown))}")
        time.sleep(0.05)


def _held() -> set[str]:
    held = {f"thread {thread.name} ({thread.ident})" for thread in threading.enumerate()}
    held |= {
        f"process {child.pid} ({child.name()})"
        for child in psutil.Process().children(recursive=True)
    }
    for descriptor in Path("/proc/self/fd").iterdir():
        # The descriptor that lists this folder is gone again by now.
        with contextlib.suppress(FileNotFoundError):
            held.add(f"file {descriptor.name} → {descriptor.readlink()}")
    return held
