"""Clients in worker processes.

The result is the same for any number of workers, bit for bit: random choices are derived from
names, sums are exact, and which rows are reported is decided before anybody trains. A worker that
dies takes its sum with it; the clients in that sum are done again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

import numpy as np
from jaxtyping import Int64

from flnb.core import Work
from flnb.core.errors import PlanError, TaskError, WorkerDiedError
from flnb.engines.behaviour import Behaviour
from flnb.engines.blackboard import Blackboard
from flnb.engines.cohort import Cohort
from flnb.engines.crew import Crew, Hand, News
from flnb.engines.handout import Handout
from flnb.engines.orders import (
    Content,
    Measure,
    Measured,
    Order,
    Sums,
    Train,
    Trained,
    Trouble,
)
from flnb.engines.simulated import Cancelled, Measurement, SimulatedParticipants
from flnb.processes import ForkServer
from flnb.tasks import Task
from flnb.tensors import CohortSum, Layout, Model, Update, unfilled

MAX_REPEATS = 3
"""How often a client is done again because its worker died."""
_NAMED = 8
"""Clients that an error names."""


class ProcessEngine(SimulatedParticipants):
    """Simulated clients that are trained in worker processes.

    Making one returns at once: the workers start in the background, and the first `begin` waits
    for them.

    Args:
        task: What is trained.
        behaviour: How slow the clients are and how often they drop out.
        clients: How many of the split's clients take part, the first ones; None is all.
        workers: Number of processes, each with one torch thread.
        fork_server: Where workers are forked; None takes the shared one of this process.

    Raises:
        PlanError: The split has fewer clients than that, or there is no worker.
    """

    def __init__(
        self,
        task: Task,
        behaviour: Behaviour | None = None,
        clients: int | None = None,
        workers: int = 2,
        fork_server: ForkServer | None = None,
    ) -> None:
        super().__init__(task, behaviour, clients)
        if workers < 1:
            raise PlanError(
                f"workers is at least 1, got {workers}",
                hint="engine_for(task, workers=0) trains in this process",
            )
        self._crew = Crew(task, workers, fork_server)
        self._board = Blackboard()
        self._ticket = self._work_ticket = 0
        # How often a worker died over something, by its name, since the work was begun.
        self._deaths: Counter[str] = Counter()
        self._lost: list[int] = []

    @property
    def worker_pids(self) -> tuple[int, ...]:
        """Process ids of the workers; waits until they are there."""
        self._crew.wait_ready()
        return tuple(hand.worker.pid for hand in self._crew.hands)

    def cancel(self) -> None:
        """Make a running `collect` return None soon; what was not reported is dropped."""
        super().cancel()
        self._crew.set_live(0)
        self._crew.ring()

    def _open(self, work: Work, model: Model) -> None:
        self._crew.wait_ready()
        self._work, self._base = work, self._board.show(model)
        self._work_ticket = self._next_ticket()
        self._crew.set_live(self._work_ticket)
        self._deaths.clear()
        self._lost.clear()
        for hand in self._crew.hands:
            hand.folded = []

    def _train(self, cohort: Cohort, rows: Int64[np.ndarray, " k"], sums: CohortSum) -> None:
        work, ticket = self._work, self._work_ticket
        # Where steps are counted, everybody takes the same time, however many examples there are.
        counts_steps = work.half.local.steps is not None
        weights = np.ones(len(rows), np.int64) if counts_steps else cohort.sizes[rows]
        alone = {row for row in rows.tolist() if self._deaths[_client(work, row)]}
        handout = Handout(rows.tolist(), weights, len(self._crew.hands), alone)

        def order(hand: Hand) -> Order | None:
            batch = handout.take()
            if not batch and not hand.folded:
                return None
            known, hand.ticket = hand.ticket == ticket, ticket
            news = None if known else (work, hand.version(self._base))
            # Single updates come with their sum, before the next ones need their place.
            hand_over = work.keep_updates or not handout
            return Train(ticket, batch, hand_over=hand_over, work=news)

        for hand, _, done in self._deal(ticket, handout, order):
            assert isinstance(done, Trained), "an order to train is answered by what was trained"
            cohort.note(done.answers)
            hand.folded += done.answers.rows.tolist()
            if done.sums is not None:
                sums.merge(_read(done.sums, hand, sums.layout))
                cohort.keep(_read_updates(done.sums, hand, sums.layout))
                hand.folded = []
        lost, self._lost = self._lost, []
        cohort.forget(np.array(lost, np.int64))

    def _measure(self, model: Model, blocks: list[int]) -> Iterator[Measurement]:
        self._crew.wait_ready()
        under_way = self._cohort is not None and not self._cohort.over
        shown = self._board.show(model, kept=self._base.place if under_way else None)
        ticket = self._next_ticket()
        handout = Handout(blocks, np.ones(len(blocks), np.int64), len(self._crew.hands))

        def order(hand: Hand) -> Order | None:
            batch = handout.take()
            return Measure(ticket, batch, hand.version(shown)) if batch else None

        for _, measure, done in self._deal(ticket, handout, order):
            assert isinstance(measure, Measure), "an order to measure"
            assert isinstance(done, Measured), "is answered by measurements"
            yield from zip(measure.blocks, done.metrics, strict=True)

    def _release(self) -> None:
        self._crew.close()
        self._board.close()

    def _deal(
        self, ticket: int, handout: Handout, order: Callable[[Hand], Order | None]
    ) -> Iterator[tuple[Hand, Order | None, Content]]:
        """Give orders until all is done, and pass on the replies; those of the dead are missing.

        Args:
            ticket: Which orders these are.
            handout: What is dealt out.
            order: Makes the next order for a worker, if there is anything left for it.
        """
        while not self._called_off(ticket):
            for hand in self._crew.hands:
                if hand.order is None and (next_order := order(hand)):
                    self._crew.send(hand, next_order)
            if not handout and not self._awaited(ticket):
                return
            for news in self._crew.news():
                if news.reply is None:
                    self._bury(news)
                elif news.reply.ticket == ticket:
                    yield news.hand, news.order, self._useful(news.reply.content)
        raise Cancelled

    def _useful(self, content: Content) -> Content:
        if isinstance(content, Trouble):
            raise TaskError(
                f"task {self._task.name!r} does not work in a worker process:\n{content.reason}",
                hint="workers=0 runs it in this process, where a debugger can look",
            )
        return content

    def _called_off(self, ticket: int) -> bool:
        return self._closed or (ticket == self._work_ticket and self._cancelled.is_set())

    def _awaited(self, ticket: int) -> bool:
        orders = [hand.order for hand in self._crew.hands]
        return any(order is not None and order.ticket == ticket for order in orders)

    def _bury(self, news: News) -> None:
        """Note what died with a worker, and give up on a client over which all of them die."""
        folded, order = news.hand.folded, news.order
        self._lost += folded
        suspects: list[str] = []
        if isinstance(order, Measure):
            suspects = [f"held-out block {block}" for block in order.blocks]
        elif order is None or order.ticket == self._work_ticket:
            rows = (order.rows if order else ()) or folded
            suspects = [_client(self._work, row) for row in rows]
        self._deaths.update(suspects)
        if any(self._deaths[suspect] > MAX_REPEATS for suspect in suspects):
            more = f" and {len(suspects) - _NAMED} more" if len(suspects) > _NAMED else ""
            raise WorkerDiedError(
                f"{', '.join(suspects[:_NAMED])}{more}: {MAX_REPEATS + 1} workers died over this, "
                f"the last one {news.ending}",
                hint="SIGKILL often means too little memory, so fewer workers may do; "
                "workers=0 runs the clients in this process, where a debugger can look",
            )

    def _next_ticket(self) -> int:
        self._ticket += 1
        return self._ticket


def _read(part: Sums, hand: Hand, layout: Layout) -> CohortSum:
    """The sum that lies in a worker's outbox, not copied."""
    block = hand.outbox
    assert block is not None, "the first sums bring their block"
    arrays = [block.array(np.int64, offset=offset, count=count) for offset, count in part.spans]
    return CohortSum.from_parts(layout, part.meta, arrays)


def _read_updates(part: Sums, hand: Hand, layout: Layout) -> dict[int, Update]:
    """Single updates out of a worker's outbox, copied: the next ones will lie there."""
    found = {}
    for row, values_at, integers_at in part.updates:
        block = hand.outbox
        assert block is not None, "the first sums bring their block"
        values = block.array(np.float32, offset=values_at, count=layout.n_values)
        integers = block.array(np.int64, offset=integers_at, count=layout.n_integers)
        found[row] = Update(layout, _copy(values), _copy(integers))
    return found


def _copy(values: np.ndarray) -> np.ndarray:
    copy = unfilled(values.size, values.dtype)
    copy[:] = values
    return copy


def _client(work: Work, row: int) -> str:
    return f"client {work.clients[row]}"
