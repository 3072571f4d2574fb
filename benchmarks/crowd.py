"""Clients of flnb, one or many in a process: `python -m benchmarks.crowd MODEL CLIENTS FOLDER`.

Its first line of orders holds the invites by name, and how long each waits before it trains. It
tells when all are connected, then how long each transfer of a version or an update took. Each
further line is answered with `told`: everything up to then was said.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from benchmarks.both_sides import task_of
from benchmarks.processes import tell
from flnb.client import Client, ClientEvent, session
from flnb.client.outbox import Held
from flnb.client.ownership import as_client
from flnb.client.trainer import OWN_HALVES, LocalTrainer
from flnb.client.transfers import Transfers
from flnb.core import ClientId, Work
from flnb.tasks import Task
from flnb.tensors import Model
from flnb.training import LocalResult
from flnb.transport.v1 import federation_pb2 as pb


class Timed(Transfers):
    """Transfers that say how long they took: to the last byte checked and, of updates, synced."""

    async def base(self, assignment: pb.Assignment) -> UInt8[np.ndarray, " n"]:
        """Get a version; see `Transfers.base`."""
        began_s = time.monotonic()
        data = await super().base(assignment)
        if not assignment.inline:
            _told("download", began_s, data.size)
        return data

    async def send(self, held: Held, chunks: list[int]) -> bool:
        """Send an update; see `Transfers.send`."""
        began_s = time.monotonic()
        complete = await super().send(held, chunks)
        _told("upload", began_s, held.manifest.n_bytes)
        return complete


def _told(kind: str, began_s: float, n_bytes: int) -> None:
    ended_s = time.monotonic()
    tell(kind=kind, seconds=ended_s - began_s, ended_s=ended_s, n_bytes=int(n_bytes))


class Crowd:
    """Clients on one loop.

    Args:
        model: Name of their model.
        folder: Where each has its home.
    """

    def __init__(self, model: str, folder: Path) -> None:
        self._model, self._folder = model, folder
        self._connected = 0

    async def live(self, clients: int, invites: dict[str, str], delays: dict[str, float]) -> None:
        """Be these clients until there are no more orders.

        Args:
            clients: How many there are in all.
            invites: By name.
            delays: Seconds that a client waits before it trains.
        """
        task = task_of(self._model, clients)
        own: list[Client] = []

        def hear(event: ClientEvent) -> None:
            self._connected += event.kind == "connected"
            if event.kind == "connected" and self._connected == len(own):
                tell(kind="here", clients=len(own))
            if event.kind in {"failed", "refused", "reconnecting"}:
                print(event.text, file=sys.stderr, flush=True)

        for name, invite in invites.items():
            home, delay_s = self._folder / name, delays.get(name, 0.0)
            train = Late(task, name, delay_s) if delay_s else None
            allowed = ("benchmarks.",)
            own.append(
                Client(invite, task, home=home, on_event=hear, train=train, allow_halves=allowed)
            )
        living = [asyncio.create_task(client.arun()) for client in own]
        while await asyncio.to_thread(sys.stdin.readline):
            tell(kind="told")
        for client in own:
            client.stop()
        await asyncio.gather(*living, return_exceptions=True)


class Late:
    """Trains as the client of a name does, and waits first.

    Args:
        task: Of all clients.
        name: Of this one.
        delay_s: How long.
    """

    def __init__(self, task: Task, name: str, delay_s: float) -> None:
        own = as_client(task, ClientId(name))
        self._trainer, self._delay_s = LocalTrainer(own, OWN_HALVES), delay_s

    def __call__(self, base: Model, work: Work) -> LocalResult:
        """Wait, then train."""
        time.sleep(self._delay_s)
        return self._trainer(base, work)


def main() -> None:
    """Be the clients that the first line names."""
    model, clients, folder = sys.argv[1:4]
    vars(session)["Transfers"] = Timed  # nothing else knows when a transfer began
    order = json.loads(sys.stdin.readline())
    crowd = Crowd(model, Path(folder))
    asyncio.run(crowd.live(int(clients), order["invites"], order.get("delays", {})))


if __name__ == "__main__":
    main()
