"""Rounds with remote clients: nothing to do, 64 MB both ways, and a thousand sessions.

A round is what it is for the others: from one closing to the next. Clients do not train. In the
round of 64 MB every chunk of the version and of each update is new, so nothing is spared.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from benchmarks.bare_stream import Bare, bare
from benchmarks.both_sides import BYTES, task_of
from benchmarks.federation import Federation, federation
from benchmarks.rows import Row
from benchmarks.sums import update
from benchmarks.timing import seconds
from flnb.tensors import CohortSum, Update
from flnb.transport import Manifest


def rows() -> Iterator[Row]:
    """Measure the three kinds of rounds."""
    yield no_op()
    yield large()
    yield crowded()


def no_op(*, turns: int = 3, rounds: int = 102) -> Row:
    """Two clients give back what they got: 31 kB each way."""
    with federation("small", clients=2, processes=2) as here:
        took_s = [one for _ in range(turns) for one in here.run("idle", rounds=rounds)["seconds"]]
    name = "no-op round, 2 client processes on loopback"
    return Row.of(name, [1000 * one for one in took_s], "ms", bar="<= 20")


def large(*, model: str = "64 MB", turns: int = 3, rounds: int = 7) -> Row:
    """Two clients fetch a version and send an update, beside what cannot be spared of that."""
    with federation(model, clients=2, processes=2) as here, bare(users=2) as wire:
        return beside_floor(here, wire, turns, rounds)


def beside_floor(here: Federation, wire: Bare, turns: int, rounds: int) -> Row:
    """Seconds of rounds, and of what they cannot do without, in turns."""
    clients = len(here.names)
    floor = Floor(here.model, clients)
    floor.seconds(wire)
    ours: list[float] = []
    least: list[float] = []
    for _ in range(turns):
        ours += here.run("drift", rounds=rounds)["seconds"]
        least.append(floor.seconds(wire))
    name = f"round, {here.model} model, {clients} client processes"
    peer = "bare stream both ways + one hash + fold"
    return Row.of(name, ours, "s", peer=peer, peer_values=least, bar="<= 0.6")


def crowded(*, clients: int = 1000, processes: int = 4, rounds: int = 7) -> Row:
    """Many sessions in a few processes: 31 kB each way for each."""
    with federation("small", clients, processes) as here:
        took_s = here.run("idle", rounds=rounds)["seconds"]
    name = f"round, 7,850 parameters, {clients:,} sessions in {processes} processes"
    return Row.of(name, took_s, "s", bar="<= 3")


class Floor:
    """What a round cannot do without: the bytes on the wire, one hash, and the sum.

    Args:
        model: Name of the model.
        clients: How many fetch and send at once.
    """

    def __init__(self, model: str, clients: int) -> None:
        self._layout, self._clients = task_of(model, clients).layout, clients
        self._n_bytes = BYTES[model]
        self._update: Update = update(self._layout, np.random.default_rng(0), 1e-3)

    def seconds(self, wire: Bare) -> float:
        """How long all of it takes, one after the other."""
        parts = (
            wire.seconds("down", self._n_bytes),
            wire.seconds("up", self._n_bytes),
            seconds(lambda: Manifest.of(self._update.values.data)),
            seconds(self._fold),
        )
        return sum(parts)

    def _fold(self) -> None:
        sums = CohortSum(self._layout)
        for _ in range(self._clients):
            sums.fold(self._update, 1)
