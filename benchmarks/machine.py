"""The round machine: what one fact costs, and that it costs no more in a large run.

A fact is one client's answer. Clients answer one by one or a simulated cohort a thousand at a time,
in random order. The sizes are measured in turns and in processor time, so that other work on the
machine does not look like growth.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from random import Random

import numpy as np

from benchmarks.rows import Row
from flnb.core.ids import ClientId
from flnb.core.messages import Outcome
from flnb.rounds import (
    Answered,
    Assign,
    Buffered,
    Close,
    Closed,
    Draw,
    Drawn,
    Stage,
    Synchronous,
    start,
    step,
)

SIZES = (1_000, 10_000, 100_000)
ENOUGH = 10_000
"""Facts a measurement, at least: one round of 1,000 is over too soon to be timed."""


def rows() -> Iterator[Row]:
    """Measure every figure of the machine."""
    yield from growth("a round, answers one by one", lambda n: a_round(n, batch=1), times=3)
    yield from growth("a round, answers by the 1,000", lambda n: a_round(n, batch=1_000), times=15)
    yield from growth("buffered, 100 busy clients", buffered, times=3)


def growth(name: str, measure: Callable[[int], float], *, times: int) -> Iterator[Row]:
    """One row a size, and one for how much more a fact costs at the largest than at the smallest."""
    measure(SIZES[0])
    tries = [{n: measure(n) for n in SIZES} for _ in range(times)]
    for n in SIZES:
        yield Row.of(f"machine, {name}: {n:,}", [figures[n] for figures in tries], "µs CPU a fact")
    yield Row.of(
        f"machine, {name}: growth",
        [figures[SIZES[-1]] / figures[SIZES[0]] for figures in tries],
        "times",
        bar="<= 1.5",
    )


def a_round(n: int, *, batch: int) -> float:
    """Microseconds a fact of synchronous rounds with n clients."""
    rounds = max(1, ENOUGH // n)
    order = np.random.default_rng(0).permutation(n)
    cohort = tuple(ClientId(str(row)) for row in range(n))
    usable = np.full(batch, Outcome.ACCEPTED, dtype=np.uint8)
    seconds = 0.0
    state, _ = start(stages=[Stage("train", n)], rule=Synchronous(None), rounds=rounds)
    for wave in range(rounds):
        state, _ = step(state, [Drawn(cohort)])
        facts = [Answered(wave, 0, part, usable, 1) for part in np.split(order, n // batch)]
        begun = time.process_time()
        for fact in facts:
            state, _ = step(state, [fact])
        seconds += time.process_time() - begun
        state, _ = step(state, [Closed(wave + 1)])
    return 1e6 * seconds / (rounds * n)


def buffered(n: int) -> float:
    """Microseconds a fact of a buffered run of n answers, with its draws and versions."""
    random, working = Random(0), list[tuple[int, int]]()
    usable = np.full(1, Outcome.ACCEPTED, dtype=np.uint8)
    rule = Buffered(size=10, concurrency=100, max_staleness=n)
    state, orders = start(stages=[Stage("train", 1)], rule=rule, rounds=n)
    begun = time.process_time()
    for _ in range(n):
        while orders:
            facts: list[Drawn | Closed] = []
            for order in orders:
                match order:
                    case Draw(n=asked):
                        facts.append(Drawn((ClientId("client"),) * (asked or 0)))
                    case Assign(wave=wave, rows=handed):
                        working.extend((wave, row) for row in handed.tolist())
                    case Close(round=number):
                        facts.append(Closed(number))
            state, orders = step(state, facts)
        place = random.randrange(len(working))
        working[place], working[-1] = working[-1], working[place]
        wave, row = working.pop()
        state, orders = step(state, [Answered(wave, 0, np.array([row]), usable, 1)])
    return 1e6 * (time.process_time() - begun) / n
