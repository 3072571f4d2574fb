"""The same plan with the sequential engine and with remote clients: the same bits.

Updates arrive in another order each time, because other clients wait before they train.
"""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.both_sides import plan_of, task_of
from benchmarks.driving import coordinator_for, finished
from benchmarks.federation import Federation, federation
from benchmarks.rows import Row
from benchmarks.sums import equal

SEED = 3
ORDERS = ((0.0, 0.1, 0.2, 0.3), (0.3, 0.2, 0.1, 0.0), (0.1, 0.3, 0.0, 0.2))
"""Seconds that the four clients wait."""


def rows(*, rounds: int = 5) -> Iterator[Row]:
    """Compare the parameters at the end."""
    digests = {sequential("digits", len(ORDERS[0]), rounds)}
    for order in ORDERS:
        delays = {f"c{number:03d}": wait_s for number, wait_s in enumerate(order)}
        with federation("digits", len(order), processes=len(order), delays=delays) as here:
            digests.add(remote(here, rounds))
    yield equal(f"{rounds} rounds, sequential engine and remote in {len(ORDERS)} orders", digests)


def sequential(model: str, clients: int, rounds: int) -> str:
    """Digest of the parameters that the sequential engine ends with."""
    plan = plan_of("train", rounds=rounds, seed=SEED, invite=clients)
    task = task_of(model, clients)
    with coordinator_for(task, workers=0) as coordinator:
        return finished(coordinator, plan, task).parameters_sha256


def remote(here: Federation, rounds: int) -> str:
    """Digest of the parameters that remote clients end with."""
    return str(here.run("train", rounds=rounds, seed=SEED)["sha256"])
