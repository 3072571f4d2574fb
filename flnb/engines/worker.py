"""What runs inside a worker process: orders in, replies out, until the channel closes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from flnb.core.failpoints import reach
from flnb.engines.blackboard import Reader
from flnb.engines.clientwork import ClientWork
from flnb.engines.orders import (
    Content,
    Measure,
    Measured,
    Order,
    Reply,
    Start,
    Sums,
    Train,
    Trained,
    Trouble,
)
from flnb.processes import Channel, SharedBlock, padded
from flnb.training import user_traceback

ENTRY = "flnb.engines.worker:run"


def run(channel: Channel, _fds: Sequence[int]) -> None:
    """Work for the engine at the other end of the channel."""
    start: Start = channel.recv()
    try:
        desk: _Desk | Trouble = _Desk(start)
    except Exception as error:  # a task may fail in any way; the engine must hear why
        desk = Trouble(user_traceback(error))
    while True:
        order: Order = channel.recv()
        content = desk if isinstance(desk, Trouble) else desk.obey(order)
        channel.send(Reply(order.ticket, content))


class _Desk:
    def __init__(self, start: Start) -> None:
        task = start.task.open()
        self._client_work = ClientWork(task)
        self._reader = Reader(task.layout)
        self._live_ticket = start.live_ticket.array(np.int64, count=1)
        self._outbox: SharedBlock | None = None

    def obey(self, order: Order) -> Content:
        try:
            match order:
                case Train():
                    return self._train(order)
                case Measure():
                    model = self._reader.model(order.version)
                    return Measured(tuple(self._client_work.evaluate(model, order.blocks)))
        except Exception as error:  # errors of single clients never come here
            return Trouble(user_traceback(error))

    def _train(self, order: Train) -> Trained:
        if order.work is not None:
            work, version = order.work
            self._client_work.begin(work, self._reader.model(version))
        reach("worker-ordered")
        answers = self._client_work.train(
            order.rows, stopped=lambda: self._live_ticket[0] != order.ticket
        )
        reach("worker-trained")
        return Trained(answers, self._hand_over() if order.hand_over else None)

    def _hand_over(self) -> Sums:
        meta, arrays = self._client_work.hand_over().to_parts()
        updates = self._client_work.hand_over_updates()
        singles = [part for one in updates.values() for part in (one.values, one.integers)]
        offsets, end = list[int](), 0
        for array in (*arrays, *singles):
            offsets.append(end)
            end = padded(end + array.nbytes)
        outbox = self._outbox
        if fresh := outbox is None or end > outbox.n_bytes:
            # The engine reads a sum before it sends the next order, so the old one may go.
            if outbox is not None:
                outbox.close()
            outbox = self._outbox = SharedBlock.create(end)
        for offset, array in zip(offsets, (*arrays, *singles), strict=True):
            outbox.array(array.dtype, offset=offset, count=array.size)[:] = array
        places, others = offsets[: len(arrays)], offsets[len(arrays) :]
        return Sums(
            meta,
            tuple(zip(places, (array.size for array in arrays), strict=True)),
            outbox if fresh else None,
            tuple(zip(updates, others[::2], others[1::2], strict=True)),
        )
