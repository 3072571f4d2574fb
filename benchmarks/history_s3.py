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
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import get_ident
from typing import Any

from sqlalchemy import Connection, Engine, event

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


def rows(
    *, times: int = 15, sizes: dict[str, int] = SIZES, n_bytes: int = N_BYTES
) -> Iterator[Row]:
    """Measure both."""
    with s3_server() as bucket:
        with ExitStack() as stack:
            held = {name: stack.enter_context(two_rounds(n)) for name, n in sizes.items()}
            yield from moves(bucket, held, times)
        yield from commits(bucket.client, n_bytes, times)


def moves(bucket: Bucket, held: dict[str, Held], times: int) -> Iterator[Row]:
    """Milliseconds of a roll back (preview and apply) and of a branch, in turns; and whom they ask."""
    took: dict[tuple[str, str], list[float]] = {}
    asked: dict[str, list[float]] = {}
    for one in held.values():
        there(one)  # waits for what a coordinator does when it takes a lab
    with transactions() as begun:
        for turn in range(times):
            for name, one in held.items():
                branch = partial(one.run.branch, f"b{turn}", at=1)
                for what, action in (("roll back", partial(there, one)), ("branch", branch)):
                    requests, begun[:] = bucket.n_requests(), ()
                    took.setdefault((what, name), []).append(1e3 * seconds(action))
                    asked.setdefault(f"{what}: transactions of the state", []).append(len(begun))
                    n = bucket.n_requests() - requests
                    asked.setdefault(f"{what}: requests to the bucket", []).append(n)
    for (what, name), values in took.items():
        yield Row.of(f"S3: {what}, {name} of parameters", values, "ms", bar="<= 500")
    for what, values in asked.items():
        yield Row.of(f"S3: {what}", values, "")


@contextmanager
def transactions() -> Iterator[list[Connection]]:
    """Give a list that gets longer with each transaction that this thread begins."""
    begun, mine = list[Connection](), get_ident()

    def note(connection: Connection) -> None:
        if get_ident() == mine:
            begun.append(connection)

    event.listen(Engine, "begin", note)
    yield begun
    event.remove(Engine, "begin", note)


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


@dataclass(frozen=True, slots=True)
class Bucket:
    """A server with a bucket, a client of it, and the file where the server notes each request."""

    client: Any
    log: Path

    def n_requests(self) -> int:
        """How many requests were answered so far."""
        return self.log.read_bytes().count(b" HTTP/1.1")


@contextmanager
def s3_server() -> Iterator[Bucket]:
    """Start a server with a bucket; the environment leads to it."""
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
    with tempfile.NamedTemporaryFile(prefix="flnb-bench-", suffix=".log") as log:
        server = subprocess.Popen([program, "-H", "127.0.0.1", "-p", port], stdout=log, stderr=log)
        try:
            _await(int(port))
            client = Session().create_client("s3", region_name="us-east-1")
            client.create_bucket(Bucket=BUCKET)
            yield Bucket(client, Path(log.name))
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
