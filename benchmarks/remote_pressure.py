"""A coordinator under pressure: how soon it answers while others upload, and what strangers get.

A ping is a challenge asked for on a connection of its own, over the coordinator's loop; counted are
those during which uploads ran. Of all uploads, so many are taken at once as `Limits.uploads` says.
In turns with the coordinator a server is asked that has nothing else to do: what that takes is what
a machine takes on which so many processes want to run.
"""

from __future__ import annotations

import asyncio
import contextlib
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
from flnb.transport.convert import SERVICE
from flnb.transport.v1 import federation_pb2 as pb

_EVERY_S = 0.005


def rows(*, clients: int = 64, rounds: int = 3, stranger_bytes: int = 200_000_000) -> Iterator[Row]:
    """Ping, then come as a stranger."""
    with federation("8 MB", clients, processes=min(4, clients)) as here:
        yield from pings(here, rounds)
        yield from stranger(here.service, here.address, stranger_bytes)


def pings(here: Federation, rounds: int) -> Iterator[Row]:
    """Milliseconds to an answer while clients upload, and while none does."""
    here.transfers()
    with Process("benchmarks.null_server") as nothing:
        pinger = Pinger(here.address, nothing.hear()["address"])
        with pinger:
            time.sleep(1.0)
            quiet_ms = [1000 * took_s for _, took_s, _ in pinger.taken()]
            here.run("drift", rounds=rounds)
            loaded = pinger.taken()
    uploads = [one for one in here.transfers() if one["kind"] == "upload"]
    spans = [(one["ended_s"] - one["seconds"], one["ended_s"]) for one in uploads]
    counted = [one for one in loaded if _running(spans, one[0], one[0] + one[1])]
    loaded_ms, nothing_ms = [[1000 * one[place] for one in counted] for place in (1, 2)]
    name = f"ping while {len(here.names)} clients upload {here.model} each: "
    p95, at_rest, of_nothing = [
        float(np.percentile(some, 95)) for some in (loaded_ms, quiet_ms, nothing_ms)
    ]
    peer = "a server of nothing, beside it"
    yield Row.of(name + "p95", [p95], "ms", peer=peer, peer_values=[of_nothing], bar="<= 50")
    yield Row.of(name + "p95", [p95], "ms", peer="at rest", peer_values=[at_rest])
    yield Row.of(name + "all", loaded_ms, "ms", peer=peer, peer_values=nothing_ms)


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
    """Asks two servers for challenges, one after the other, in a thread of its own.

    Args:
        address: Of the coordinator.
        nothing: Of a server that does nothing else.
    """

    def __init__(self, address: str, nothing: str) -> None:
        self._addresses, self._over = (address, nothing), False
        self._taken: list[tuple[float, float, float]] = []
        self._thread = threading.Thread(target=lambda: asyncio.run(self._ask()), name="benchmark")

    def taken(self) -> list[tuple[float, float, float]]:
        """When each was asked and how long both took, in seconds; those told before are left out."""
        taken, self._taken = self._taken, []
        return taken

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._over = True
        self._thread.join()

    async def _ask(self) -> None:
        request = pb.ChallengeRequest(protocol=PROTOCOL, client="nobody").SerializeToString()
        async with contextlib.AsyncExitStack() as up:
            channels = [
                await up.enter_async_context(aio.insecure_channel(address))
                for address in self._addresses
            ]
            asks: list[Any] = [one.unary_unary(f"/{SERVICE}/Challenge") for one in channels]
            while not self._over:
                moments = [time.monotonic()]
                for ask in asks:
                    await ask(request)
                    moments.append(time.monotonic())
                began_s, between_s, ended_s = moments
                self._taken.append((began_s, between_s - began_s, ended_s - between_s))
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
