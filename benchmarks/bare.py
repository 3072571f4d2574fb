"""Rounds without a coordinator: the engine, the rule and the server optimiser in a bare loop."""

from __future__ import annotations

import time

from flnb.core import Participants, Plan, RunId, Work
from flnb.sampling import sampler_for
from flnb.strategies import Strategy
from flnb.tasks import Task


class BareLoop:
    """What a round costs with nothing around it: no journal, metrics, history, events.

    Args:
        engine: Trains the clients.
        task: What they learn.
    """

    def __init__(self, engine: Participants, task: Task) -> None:
        self._engine, self._task = engine, task
        self._round = 0

    def rounds(self, plan: Plan, n: int) -> list[float]:
        """Seconds of each of `n` rounds, from the first version on."""
        strategy: Strategy = plan.strategy.compose()
        sampler, population = sampler_for(plan), tuple(self._engine.clients)
        model = self._task.initial_model(plan.seed)
        state = strategy.server.init(model.layout)
        seconds = []
        for _ in range(n):
            began_s = time.monotonic()
            self._round += 1
            cohort = sampler.draw(population, seed=plan.seed, round=self._round, attempt=0)
            work = Work(
                run=RunId("bare"),
                seed=plan.seed,
                round=self._round,
                attempt=0,
                stage="train",
                clients=cohort,
                half=strategy.half,
                weighting=strategy.rule.weighting,
            )
            self._engine.begin(work, model)
            report = self._engine.collect()
            assert report is not None, "a cohort that was begun reports"
            update = strategy.rule.combine(report.sums)
            state, model = strategy.server.apply(state, model, update)
            if plan.evaluation.central_every:
                self._engine.evaluate(model)
            seconds.append(time.monotonic() - began_s)
        return seconds
