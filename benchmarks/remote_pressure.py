"""A coordinator under pressure: how soon it answers while others upload, and what strangers get.

A ping is a challenge asked for on a connection of its own, over the coordinator's loop; counted are
those during which uploads ran. Of all uploads, so many are taken at once as `Limits.uploads` says.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
from grpc import aio

from benchmarks.federation import Federation, federation
from benchmarks.memory import held_mb, watched
from benchmarks.processes import Process
from benchmarks.rows import Row
from flnb.core.errors import AccessRefusedError
from flnb.transport import CHUNK_BYTES, PROTOCOL, Link
from flnb.transport.v1 import federation_pb2 as pb

_SERVICE = "/flnb.v1.Federation"
_EVERY_S = 0.005


def rows(*, clients: int = 64, rounds: int = 3, stranger_bytes: int = 200_000_000) -> Iterator[Row]:
    """Ping, then come as a stranger."""
    with federation("8 MB", clients, processes=min(4, clients)) as here:
        yield from pings(here, rounds)
        yield from stranger(here.service, here.address, stranger_bytes)


def pings(here: Federation, rounds: int) -> Iterator[Row]:
    """Milliseconds to an answer while clients upload, and while none does."""
    here.transfers()
    pinger = Pinger(here.address)
    with pinger:
        time.sleep(1.0)
        quiet_ms = [1000 * took_s for _, took_s in pinger.taken()]
        here.run("drift", rounds=rounds)
        loaded = pinger.taken()
    uploads = [one for one in here.transfers() if one["kind"] == "upload"]
    spans = [(one["ended_s"] - one["seconds"], one["ended_s"]) for one in uploads]
    loaded_ms = [1000 * took_s for at_s, took_s in loaded if _running(spans, at_s, at_s + took_s)]
    name = f"ping while {len(here.names)} clients upload {here.model} each: "
    p95 = float(np.percentile(loaded_ms, 95))
    at_rest = [float(np.percentile(quiet_ms, 95))]
    yield Row.of(name + "p95", [p95], "ms", peer="at rest", peer_values=at_rest, bar="<= 50")
    yield Row.of(name + "all", loaded_ms, "ms", peer="at rest", peer_values=quiet_ms)


def stranger(service: Process, address: str, n_bytes: int) -> Iterator[Row]:
    """Somebody without a token sends and does not stop."""
    before_mb = held_mb(service.pid)
    with watched(service.pid) as peak:
        refused = asyncio.run(_send_without_token(address, n_bytes))
    grown = max(0.0, peak.megabytes - before_mb)
    name = f"unauthenticated upload of {n_bytes / 1e6:.0f} MB"
    yield Row.of(f"{name}: refused", [float(refused)], "", bar=">= 1")
    yield Row.of(f"{name}: memory of the coordinator", [grown], "MB", bar="<= 16")


class Pinger:
    """Asks for challenges, one after the other, in a thread of its own.

    Args:
        address: Of the coordinator.
    """

    def __init__(self, address: str) -> None:
        self._address, self._over = address, False
        self._taken: list[tuple[float, float]] = []
        self._thread = threading.Thread(target=lambda: asyncio.run(self._ask()), name="benchmark")

    def taken(self) -> list[tuple[float, float]]:
        """When each was asked and how long it took, in seconds; those told before are left out."""
        taken, self._taken = self._taken, []
        return taken

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._over = True
        self._thread.join()

    async def _ask(self) -> None:
        request = pb.ChallengeRequest(protocol=PROTOCOL, client="nobody").SerializeToString()
        async with aio.insecure_channel(self._address) as channel:
            ask: Any = channel.unary_unary(f"{_SERVICE}/Challenge")
            while not self._over:
                began_s = time.monotonic()
                await ask(request)
                self._taken.append((began_s, time.monotonic() - began_s))
                await asyncio.sleep(_EVERY_S)


async def _send_without_token(address: str, n_bytes: int) -> bool:
    """Whether it was refused, and for that reason."""
    link, chunk = Link(address), bytes(CHUNK_BYTES)
    try:
        await link.send(
            "", pb.AssignmentId(), range(n_bytes // len(chunk)), lambda places: chunk * len(places)
        )
    except AccessRefusedError:
        return True
    finally:
        await link.close()
    return False


def _running(spans: list[tuple[float, float]], begin_s: float, end_s: float) -> bool:
    return any(begin_s < until_s and since_s < end_s for since_s, until_s in spans)
