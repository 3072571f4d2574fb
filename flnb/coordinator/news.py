"""What the driver of a run waits for: commands, clients that come, and reports of the cohort."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Iterator
from typing import Any

from flnb import rounds
from flnb.coordinator.job import Job
from flnb.core.errors import FLBaseError
from flnb.core.messages import CohortReport
from flnb.sampling import sampler_for
from flnb.tensors import CohortSum


class News:
    """Everything that happens to one run while it is driven; used on the loop.

    Args:
        job: The run.
    """

    def __init__(self, job: Job) -> None:
        self._job, self._sampler = job, sampler_for(job.plan)
        self._inbox: asyncio.Queue[rounds.Fact] = asyncio.Queue()
        self._drawing: rounds.Draw | None = None
        self._collecting: asyncio.Future[CohortReport | None] | None = None

    def tell(self, fact: rounds.Fact) -> None:
        """Pass a command on."""
        self._inbox.put_nowait(fact)

    def told(self) -> Iterator[rounds.Fact]:
        """Take what was told and not heard yet, in order."""
        while not self._inbox.empty():
            yield self._inbox.get_nowait()

    # --- who is here ----------------------------------------------------------------------------

    @property
    def drawing(self) -> bool:
        """Whether a cohort could not be drawn yet: too few clients are here."""
        return self._drawing is not None

    def awaited(self) -> tuple[int, int]:
        """Clients that a round waits for, and how many of them are here."""
        population = self._job.population
        if self._drawing is None:
            return 0, 0
        plan = self._job.plan
        return population.needed(plan), len(population.eligible(plan))

    async def draw(self, order: rounds.Draw) -> list[rounds.Fact]:
        """Draw a cohort; later, as news, if too few clients are here now."""
        self._drawing = order
        return await self._drawn()

    async def _drawn(self) -> list[rounds.Fact]:
        order, plan = self._drawing, self._job.plan
        population = self._job.population
        population.changed.clear()
        here, replay = population.eligible(plan), self._job.replay
        if order is None or (replay is None and population.needed(plan) > len(here)):
            return []
        self._drawing = None
        draw = functools.partial(
            (replay or self._sampler).draw,
            here,
            seed=plan.seed,
            round=order.round,
            attempt=order.attempt,
        )
        # A replay reads the round that it does again.
        return [rounds.Drawn(draw() if replay is None else await population.run(draw))]

    # --- what comes back ------------------------------------------------------------------------

    async def hear(
        self, state: rounds.RoundsState, sums: CohortSum | None, *, begun: bool
    ) -> tuple[list[rounds.Fact], CohortReport | None]:
        """Wait for a report of the cohort or for a command, whichever comes first.

        Args:
            state: How the run stands.
            sums: Of the rows that were reported before.
            begun: Whether a cohort is at work.

        Raises:
            FLBaseError: The cohort has ended, and some of it was never reported.
        """
        if begun and self._collecting is None:
            collect = self._job.participants.collect
            reported = self._job.population.run(collect, rounds.room(state), sums)
            self._collecting = asyncio.ensure_future(reported)
        facts = await self._first()
        if self._drawing is not None:
            facts += await self._drawn()
        report = None
        if self._collecting is not None and self._collecting.done():
            report, self._collecting = self._collecting.result(), None
            if report is None:  # every row was reported, so none is missing
                (wave,) = state.waves.values()
                missing = f"{wave.pending} clients were never reported"
                raise FLBaseError(f"round {state.round}: {missing}")
        return facts, report

    async def _first(self) -> list[rounds.Fact]:
        """Wait until anything happens; gives the command, if it was one."""
        command = asyncio.ensure_future(self._inbox.get())
        arrival = asyncio.ensure_future(self._job.population.changed.wait())
        waiting: set[asyncio.Future[Any]] = {command}
        if self._collecting is not None:
            waiting.add(self._collecting)
        if self._drawing is not None:
            waiting.add(arrival)
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            arrival.cancel()
            if not command.done():
                command.cancel()
        return [command.result()] if command.done() and not command.cancelled() else []

    async def stop_collecting(self) -> None:
        """Let the cohort be; what it still reports is dropped."""
        if self._collecting is not None:
            self._job.participants.cancel()
            await asyncio.wait({self._collecting})
            self._collecting = None
