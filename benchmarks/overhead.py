"""What journal, metrics and history cost: rounds of the coordinator beside a bare loop.

Both use the same workers, in turns. The clients of the no-op round do not train; those of the
200 ms round take so many steps that a bare round lasts about that long.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import flnb
from benchmarks.bare import BareLoop
from benchmarks.driving import WARM_UP, coordinator_for, finished, round_seconds
from benchmarks.halves import Idle, mnist_shaped
from benchmarks.rows import Row
from flnb.core import Evaluation, Local, Plan
from flnb.strategies import FedAvg
from flnb.tasks import Task

NO_OP_CLIENTS = 1000
ROUND_S = 0.2


@dataclass(frozen=True, slots=True)
class Size:
    """A model to train, and how many of its rounds one turn takes."""

    name: str
    widths: tuple[int, ...]
    clients: int
    rounds: int = 32


SIZES = (
    # 784 → 700 → 700 → 600 → 200 → 10: ten tensors
    Size("1.6 M in 10 tensors", (700, 700, 600, 200), clients=10),
    # 30 hidden layers of 604: sixty-two tensors
    Size("11 M in 62 tensors", (604,) * 30, clients=4),
)


def rows(*, turns: int = 6) -> Iterator[Row]:
    """Measure the no-op round, then the 200 ms round of each size."""
    yield from no_op(turns)
    for size in SIZES:
        yield from median_round(size, turns)


def no_op(turns: int) -> Iterator[Row]:
    """A thousand clients that give back what they got."""
    task = flnb.tasks.digits(split=flnb.IID(clients=NO_OP_CLIENTS))
    plan = Plan(strategy=Idle(), rounds=50, invite=NO_OP_CLIENTS)
    pairs = in_turns(task, plan, turns)
    name = f"no-op round, {NO_OP_CLIENTS:,} simulated clients"
    ours_ms, bare_ms = (_milliseconds(seconds) for seconds in zip(*pairs, strict=True))
    yield Row.of(name, ours_ms, "ms", peer="bare loop", peer_values=bare_ms, bar="<= 100")
    costs = [value - statistics.median(bare_ms) for value in ours_ms]
    yield Row.of(f"{name}: journal, metrics, history and events", costs, "ms")


def median_round(size: Size, turns: int) -> Iterator[Row]:
    """The round that takes 200 ms without journal, metrics and history."""
    task = mnist_shaped(size.widths, flnb.IID(clients=100), n=6000)
    layout = task.layout
    print(f"{size.name}: {layout.n_parameters:,} in {len(layout.slots)}", flush=True)
    plan = calibrated(task, size)
    pairs = in_turns(task, plan, turns)
    name = f"round, {size.name}, {plan.invite} clients × {_steps(plan)} steps"
    ours_ms, bare_ms = (_milliseconds(seconds) for seconds in zip(*pairs, strict=True))
    yield Row.of(name, ours_ms, "ms", peer="bare loop", peer_values=bare_ms)
    medians = [statistics.median(ours) / statistics.median(bare) for ours, bare in pairs]
    yield Row.of(f"{name}: median over median of a turn", medians, "times", bar="<= 1.05")
    means = [statistics.fmean(ours) / statistics.fmean(bare) for ours, bare in pairs]
    yield Row.of(f"{name}: mean over mean of a turn", means, "times")


def in_turns(task: Task, plan: Plan, turns: int) -> list[tuple[list[float], list[float]]]:
    """Seconds of rounds of the coordinator and of the bare loop, with the same workers.

    Turns are short, because the speed of a machine drifts more than what is measured.
    """
    pairs = []
    with coordinator_for(task, workers=2) as coordinator:
        loop = BareLoop(coordinator.simulate(task, workers=2).engine, task)
        loop.rounds(plan, WARM_UP)
        for _ in range(turns):
            ours = round_seconds(finished(coordinator, plan, task))
            pairs.append((ours, loop.rounds(plan, plan.rounds)[WARM_UP:]))
    return pairs


def calibrated(task: Task, size: Size) -> Plan:
    """A plan with as many local steps as bring a bare round nearest to 200 ms."""
    plan = partial(_plan, size)
    with coordinator_for(task, workers=2) as coordinator:
        loop = BareLoop(coordinator.simulate(task, workers=2).engine, task)
        one, five = (statistics.median(loop.rounds(plan(steps), 7)[2:]) for steps in (1, 5))
    a_step = max(1e-4, (five - one) / 4)
    return plan(max(1, round(1 + (ROUND_S - one) / a_step)))


def _plan(size: Size, steps: int) -> Plan:
    local = Local(epochs=None, steps=steps, batch_size=10, lr=0.01)
    return Plan(
        strategy=FedAvg(local=local),
        rounds=size.rounds,
        invite=size.clients,
        evaluation=Evaluation(central_every=0),
    )


def _steps(plan: Plan) -> int:
    return plan.strategy.local.steps or 0


def _milliseconds(turns: Sequence[list[float]]) -> list[float]:
    return [1000 * seconds for turn in turns for seconds in turn]
