"""Drives one run: feeds facts to the round machine and carries out its orders.

The machine (`flnb.rounds`) decides, this module acts: it draws cohorts, hands out work, adds up
what comes back, makes the next version, and passes closed rounds to the `Closer`. A runner lives
from a start (or a resume) to the next pause, stop or end; every resume begins from what is
durable, so that going on after a pause and going on after a crash are the same thing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np

from flnb import rounds
from flnb.coordinator.closer import Closer, Version, commit_facts
from flnb.coordinator.folding import Folding, let_go
from flnb.coordinator.guarding import Fired, Monitor
from flnb.coordinator.job import Job
from flnb.coordinator.journal import Journal
from flnb.coordinator.news import News
from flnb.coordinator.rows import OpenRound
from flnb.coordinator.terms import ended, failure_of, started, work_of
from flnb.core.clock import SYSTEM_CLOCK, Clock
from flnb.core.errors import FLBaseError
from flnb.core.failpoints import reach
from flnb.core.messages import CohortReport, MetricSum, Outcome
from flnb.core.view import Status
from flnb.store import Closing, LabStore, RoundKey
from flnb.tensors import release_unused


class Runner:
    """One stretch of a run, from its start or a resume to the next rest.

    Args:
        job: What to run.
        store: The lab's store.
        io: The lab's one thread for databases.
        on_state: Called on the loop after each step with the state, the open round, how many
            clients the next one waits for, and how many of them are here.
        on_closed: Called on the loop with each round that is durable.
        on_taken_back: Called on the loop where rounds that are done again come out otherwise, once those
            of the first time are gone.
    """

    def __init__(
        self,
        job: Job,
        store: LabStore,
        io: ThreadPoolExecutor,
        *,
        on_state: Callable[[rounds.RoundsState, OpenRound | None, int, int], None],
        on_closed: Callable[[Closing], None],
        on_taken_back: Callable[[], Awaitable[None]],
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._job, self._store, self._io, self._clock = job, store, io, clock
        self._on_state = on_state
        self._on_closed, self._on_taken_back = on_closed, on_taken_back
        self._closer: Closer
        self._news = News(job)
        self._version = job.start.take()
        self._shelf = job.start.shelf
        self._open: OpenRound | None = None
        self._turn: asyncio.Lock | None = None
        """Held while a round is open."""
        self._report: CohortReport | None = None
        kept = store.kept if job.plan.keep_updates else None
        self._folding = Folding(job.strategy, kept)
        self._monitor = Monitor(job.plan.guards, warn_only=job.replay is not None)
        self.fired: Fired | None = None
        """The guard for which the run rests."""
        self._journal = Journal(store.state, io, job.record.id)
        self._error: FLBaseError | None = None
        self._ending: Status | None = None

    @property
    def version(self) -> Version:
        """The newest version; its commit may still be under way."""
        return self._version

    def tell(self, fact: rounds.Fact) -> bool:
        """Pass a command on; on the loop's thread. False if the run is coming to its rest."""
        if self._ending is not None and self.fired is None:
            return False
        self._news.tell(fact)
        return True

    def rest(self) -> None:
        """Give the open round up, save, and rest; on the loop's thread."""
        if self.tell(rounds.TimePassed(0.0)):  # wakes the loop
            self._ending = Status.PAUSED

    async def drive(self) -> tuple[Status, FLBaseError | None]:
        """Run until the run rests.

        Returns:
            Why it rests, and what a person should know about it.
        """
        plan = self._job.plan
        state, orders = started(self._job, self._version.round)
        self._closer = Closer(
            self._store, self._io, plan.commit_every, self._durable, commit_facts(self._job.record)
        )
        self._closer.expect_again(self._job.closed, self._on_taken_back)
        try:
            first = self._version
            model = await self._in_io(self._shelf.put, first.model)
            self._version = replace(first, model=model)
            del first, model
            await self._journal.read()
            keep = plan.keep_updates or 0
            await self._in_io(let_go, self._store.kept, self._job.record.id, keep, True)
            self.fired = await self._in_io(self._monitor.remember, self._store, self._job)
            if self.fired is not None:
                self._ending = Status.PAUSED
                return await self._rest()
            while True:
                facts = await self._carry_out(state, orders)
                if self._ending is not None:
                    return await self._rest()
                self._on_state(state, self._open, *self._news.awaited())
                # What was asked while the orders were carried out counts before what they led to:
                # a pause that was taken back must not be obeyed.
                facts = [*self.left(), *facts]
                state, orders = rounds.step(state, facts or await self._hear(state))
                if self._news.drawing and state.status is Status.PAUSING:
                    self._ending = Status.PAUSED  # nobody knows when enough clients will be here
        except FLBaseError:
            if not self._closer.broken:
                await self._closer.save(self._version)
            raise
        finally:
            await self._leave()

    def left(self) -> Iterator[rounds.Fact]:
        """Take what it was told and did not come to yet, in order."""
        return self._news.told()

    async def _carry_out(
        self, state: rounds.RoundsState, orders: Iterable[rounds.Order]
    ) -> list[rounds.Fact]:
        facts: list[rounds.Fact] = []
        for order in orders:
            match order:
                case rounds.Draw():
                    facts.extend(await self._news.draw(order))
                case rounds.Assign():
                    await self._assign(state, order)
                case rounds.Accept():
                    await self._accept(order)
                case rounds.Refuse(rows=rows, reason=reason):
                    self._refuse(rows, reason)
                case rounds.Close():
                    facts.append(await self._close(state, order))
                case rounds.Fail():
                    await self._fail(order)
                case rounds.Pause():
                    self._ending = Status.PAUSED
                case rounds.Finish(reason=reason):
                    self._ending = ended(self._job, self._version.round, reason)
        return facts

    async def _assign(self, state: rounds.RoundsState, order: rounds.Assign) -> None:
        job, clients = self._job, state.waves[order.wave].clients
        self._turn = await job.population.take_turn()
        await self._in_io(self._folding.drop)
        self._open = OpenRound(state.round, state.attempt, clients, self._clock.now())
        self._journal.write(
            self._open, "assigned", {"clients": list(clients)}, lambda: reach("assigned")
        )
        if job.population.remote is not None:
            await self._journal.durable()  # others hear of it: it must not be forgotten
        work = work_of(job, state, order)
        await job.population.run(job.participants.begin, work, self._version.model)
        # Clients begin now; workers may have started first.
        self._open.opened_at = self._clock.now()
        if job.population.remote is not None and job.replay is None:
            self._journal.note_lost_bodies(self._open, job.population.remote.lacked)

    async def _hear(self, state: rounds.RoundsState) -> list[rounds.Fact]:
        """Wait for what happens next."""
        begun = self._open is not None
        facts, report = await self._news.hear(state, self._folding.sums, begun=begun)
        if report is not None:
            facts.append(self._answered(state, report))
        return facts

    def _answered(self, state: rounds.RoundsState, report: CohortReport) -> rounds.Answered:
        (wave,) = state.waves.values()
        assert self._open is not None, "a report without an open round"
        self._open.take(report)
        self._report = report
        settled = {"rows": report.rows.tolist(), "outcomes": report.outcome.tolist()}
        self._journal.write(self._open, "answered", settled, lambda: reach("answered"))
        return rounds.Answered(wave.id, wave.stage, report.rows, report.outcome, state.generation)

    async def _accept(self, order: rounds.Accept) -> None:
        report, self._report = self._report, None
        assert report is not None, "accepted rows come from the report just taken"
        accepted = report.rows[report.outcome == Outcome.ACCEPTED]
        assert np.array_equal(np.sort(accepted), order.rows), "sums hold exactly the accepted rows"
        assert self._open is not None, "accepted rows are of an open round"
        key = RoundKey(self._job.record.id, self._job.record.generation, self._open.round)
        await self._job.population.run(self._folding.take, key, self._open.clients, report)

    def _refuse(self, rows: np.ndarray, reason: str) -> None:
        if self._open is not None:
            self._open.reasons.update(dict.fromkeys(rows.tolist(), reason))

    async def _close(self, state: rounds.RoundsState, order: rounds.Close) -> rounds.Closed:
        job, open_round = self._job, self._open
        assert open_round is not None, "a round that closes is open"
        if job.population.remote is not None and job.replay is None:
            open_round.stalls = tuple(job.population.remote.stalls)
            open_round.remarks = dict(job.population.remote.notable.remarks)
        open_round.settle()
        version = await job.population.run(self._folding.next_version, order.round, self._version)
        last = order.round == job.plan.rounds
        every = job.plan.evaluation.central_every
        central: dict[str, MetricSum] = {}
        if every and (order.round % every == 0 or last):
            central = dict(await job.population.run(job.participants.evaluate, version.model))
        self._let_go()
        await self._journal.durable()
        self._version, self._open = version, None
        closing = self._closing(open_round, order.reason, central)
        closing, self.fired = self._monitor.look(closing)
        must = last or state.status is Status.PAUSING
        if self.fired is not None:
            self._ending = Status.PAUSED  # nothing more is begun from this version
            if state.status is Status.PAUSING:  # before what was told since, such as a resume
                for fact in (rounds.PauseAsked(), *self.left()):
                    self._news.tell(fact)
        await self._closer.put(closing, version, must_commit=must)
        return rounds.Closed(order.round)

    def _closing(self, done: OpenRound, closed_by: str, central: dict[str, MetricSum]) -> Closing:
        weighting, layout = self._job.strategy.rule.weighting, self._version.model.layout
        at = self._clock.now()
        return done.closing(self._job.record, closed_by, at, central, weighting, layout.model_bytes)

    async def _fail(self, order: rounds.Fail) -> None:
        """The attempt is lost; that it was made is kept, so that the next one draws anew."""
        self._ending = Status.PAUSED  # the machine pauses next; nobody is told otherwise meanwhile
        open_round, self._open = self._open, None
        if open_round is not None:
            await self._news.stop_collecting()
            self._let_go()
        await self._journal.durable()
        self._error = failure_of(order, open_round)
        await self._in_io(
            self._store.state.record_attempt,
            self._job.record.id,
            order.round,
            order.attempt,
            order.outcomes,
            open_round.stories() if open_round else {},
        )
        reach("attempt-failed")

    async def _rest(self) -> tuple[Status, FLBaseError | None]:
        """Save everything and say why the run rests."""
        assert self._ending is not None, "a run rests for a reason"
        await self._news.stop_collecting()
        await self._closer.save(self._version)
        return self._ending, self._error

    def _durable(self, closing: Closing) -> None:
        self._job.population.settle(closing)
        if keep := self._job.plan.keep_updates:
            self._io.submit(let_go, self._store.kept, closing.run, keep)
        self._on_closed(closing)

    def _let_go(self) -> None:
        if self._turn is not None:
            self._turn.release()
            self._turn = None

    async def _leave(self) -> None:
        await self._news.stop_collecting()
        self._let_go()
        await self._in_io(self._folding.drop)
        # What went wrong with these was said already, or is of a round that is given up.
        await self._journal.end()
        await self._closer.close()
        self._shelf.clear()
        release_unused()  # nobody knows when a run will want it

    async def _in_io(self, work: Callable[..., Any], *arguments: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._io, work, *arguments)
