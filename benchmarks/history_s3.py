"""History in S3, on a server of moto on loopback: heads that move, and commits beside a single PUT.

Server, client and writer share the cores of one machine, and moto is a program in Python: what is
compared went through the same server in the same minute.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import flnb
from benchmarks.history_moves import PLAN, Held, one_number, there, versions
from benchmarks.rows import Row
from benchmarks.timing import alternate, seconds
from benchmarks.written import new_run, random_values, write_rounds
from flnb.coordinator.lab import Lab
from flnb.store import HistoryWriter, LabStore
from flnb.store.place import HistoryPlace

BUCKET = "bench"
SIZES = {"1 MB": 250_000, "100 MB": 25_000_000}
N_BYTES = 100_000_000
_START_S = 60.0


def rows(*, times: int = 9, sizes: dict[str, int] = SIZES, n_bytes: int = N_BYTES) -> Iterator[Row]:
    """Measure both."""
    with s3_server() as client:
        for name, n in sizes.items():
            yield from moves(name, n, times)
        yield from commits(client, n_bytes, times)


def moves(name: str, n: int, times: int) -> Iterator[Row]:
    """Milliseconds of a roll back (preview and apply) and of a branch."""
    with two_rounds(n) as held:
        back = [1e3 * seconds(partial(there, held)) for _ in range(times)]
        fork = [1e3 * seconds(partial(held.run.branch, f"b{k}", at=1)) for k in range(times)]
    yield Row.of(f"S3: roll back, {name} of parameters", back, "ms", bar="<= 500")
    yield Row.of(f"S3: branch, {name} of parameters", fork, "ms", bar="<= 500")


def commits(client: Any, n_bytes: int, times: int) -> Iterator[Row]:
    """Megabytes a second of a commit by the writer process, beside one object of as many bytes."""
    values = random_values(n_bytes // 4)
    writer = HistoryWriter(HistoryPlace.parse(f"s3://{BUCKET}/commits"))
    writer.start()

    def commit() -> float:
        values[::1000] += 1  # in every chunk
        groups = {"parameters": values}
        return n_bytes / 1e6 / seconds(lambda: writer.submit("r", groups, {}).wait())  # type: ignore[arg-type]

    def put() -> float:
        body = values.tobytes()
        return n_bytes / 1e6 / seconds(lambda: client.put_object(Bucket=BUCKET, Key="x", Body=body))

    ours, peer = alternate(commit, put, times=times)
    writer.close()
    name = f"S3: commit of {n_bytes // 1_000_000} MB"
    yield Row.of(name, ours, "MB/s", peer="botocore, one PUT", peer_values=peer)
    shares = [mine / other for mine, other in zip(ours, peer, strict=True)]
    yield Row.of(f"{name}: share of one PUT's speed", shares, "times", bar=">= 0.3")


@contextmanager
def two_rounds(n: int) -> Iterator[Held]:
    """A lab whose commits lie in S3, with a run of two rounds whose versions have n values."""
    with tempfile.TemporaryDirectory(prefix="flnb-bench-") as folder:
        file, lab = Path(folder) / "values", Path(folder) / "lab"
        random_values(n).tofile(file)
        place = HistoryPlace.parse(f"s3://{BUCKET}/{Path(folder).name}")
        task = one_number(n)
        kept = LabStore(lab, LabStore.open(lab).state, place=place)
        with flnb.Coordinator(Lab(kept)) as coordinator:
            coordinator.simulate(task, workers=0)
            store = coordinator.lab.store
            write_rounds(store, new_run(store, PLAN, task, "long"), PLAN, versions(task, file))
            yield Held(store, coordinator.lab.run("long"), lab, file)


@contextmanager
def s3_server() -> Iterator[Any]:
    """Start a server with a bucket; the environment leads to it, and the client that is given."""
    from botocore.session import Session

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    program = str(Path(sys.executable).with_name("moto_server"))
    before = dict(os.environ)
    os.environ |= {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_REGION": "us-east-1",
    }
    quiet = subprocess.DEVNULL
    server = subprocess.Popen([program, "-H", "127.0.0.1", "-p", port], stdout=quiet, stderr=quiet)
    try:
        _await(int(port))
        client = Session().create_client("s3", region_name="us-east-1")
        client.create_bucket(Bucket=BUCKET)
        yield client
        client.close()
    finally:
        server.kill()
        server.wait()
        os.environ.clear()
        os.environ |= before


def _await(port: int) -> None:
    ends_s = time.monotonic() + _START_S
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        if time.monotonic() > ends_s:
            raise TimeoutError(f"moto_server does not listen on port {port}")
        time.sleep(0.05)
