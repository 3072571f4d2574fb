"""The same plan with the sequential engine and with remote clients: the same bits.

Updates arrive in another order each time, because other clients wait before they train.
"""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.both_sides import plan_of, task_of
from benchmarks.driving import coordinator_for, finished
from benchmarks.federation import federation
from benchmarks.rows import Row
from benchmarks.sums import equal

ORDERS = ((0.0, 0.1, 0.2, 0.3), (0.3, 0.2, 0.1, 0.0), (0.1, 0.3, 0.0, 0.2))
"""Seconds that the four clients wait."""


def rows(*, orders: int = len(ORDERS), rounds: int = 5) -> Iterator[Row]:
    """Compare the parameters at the end."""
    task = task_of("digits", 4)
    settings = {"rounds": rounds, "seed": 3, "invite": 4}
    with coordinator_for(task, workers=0) as coordinator:
        digests = {finished(coordinator, plan_of("train", **settings), task).parameters_sha256}
    for order in ORDERS[:orders]:
        delays = {f"c{number:03d}": wait_s for number, wait_s in enumerate(order)}
        with federation("digits", 4, processes=4, delays=delays) as here:
            digests.add(here.run("train", **settings)["sha256"])
    yield equal(f"{rounds} rounds, sequential engine and remote in {orders} orders", digests)
