"""The workers of an engine: started in the background, awaited together, replaced when they die."""

from __future__ import annotations

import contextlib
import selectors
import signal
import socket
import threading
from typing import NamedTuple

import numpy as np

from flnb.core.errors import TaskError
from flnb.engines.blackboard import Shown
from flnb.engines.orders import Order, Reply, Start, Trained, VersionRef
from flnb.engines.worker import ENTRY
from flnb.processes import ForkServer, Parcel, SharedBlock, Worker
from flnb.tasks import Task

_END_S = 5.0
"""How long a worker may take to end before it is killed."""


class Hand:
    """One worker, as its engine sees it."""

    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        self.order: Order | None = None
        """What it is doing."""
        self.ticket = 0
        """The work it knows."""
        self.folded: list[int] = []
        """Rows that are in its sum and not handed over."""
        self.outbox: SharedBlock | None = None
        """Where its sums lie."""
        self._places: set[int] = set()

    def version(self, shown: Shown) -> VersionRef:
        """Refer to a version; its block goes along unless the worker has it."""
        known = shown.place in self._places
        self._places.add(shown.place)
        return VersionRef(shown.number, shown.place, None if known else shown.block)


class News(NamedTuple):
    """Something happened to a worker."""

    hand: Hand
    order: Order | None
    """What it was doing."""
    reply: Reply | None
    """None when it died; somebody else is in its place."""
    ending: str = ""
    """How it died, in words."""


class Crew:
    """The workers of one engine.

    Args:
        task: Sent to each worker once, its data in memory that all of them share.
        n_workers: How many.
        fork_server: Where they are forked; None takes the shared one of this process.
    """

    def __init__(self, task: Task, n_workers: int, fork_server: ForkServer | None) -> None:
        self.hands: list[Hand] = []
        self._task, self._n_workers, self._fork_server = task, n_workers, fork_server
        self._live_block = SharedBlock.create(64)
        self._live_ticket = self._live_block.array(np.int64)
        self._selector = selectors.DefaultSelector()
        self._bell, self._bell_rope = socket.socketpair()
        self._bell.setblocking(False)
        self._bell_rope.setblocking(False)
        self._selector.register(self._bell, selectors.EVENT_READ)
        self._parcel: Parcel | None = None
        self._failure: Exception | None = None
        self._closed = False
        self._starting = threading.Thread(target=self._start, name="flnb-workers", daemon=True)
        self._starting.start()

    def wait_ready(self) -> None:
        """Wait until the workers are there.

        Raises:
            TaskError: The task cannot be sent to another process.
            WorkerDiedError: Workers cannot be forked.
        """
        self._starting.join()
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure
        self._fill()

    def set_live(self, ticket: int) -> None:
        """Say which ticket is wanted; who works on another one stops after the present client."""
        self._live_ticket[0] = ticket

    def ring(self) -> None:
        """Make `news` return; from any thread, at any time."""
        with contextlib.suppress(OSError):  # rung often enough, or closed
            self._bell_rope.send(b"!")

    def send(self, hand: Hand, order: Order) -> None:
        """Give an order to a worker that has none; if it is dead, `news` will say so."""
        hand.order = order
        with contextlib.suppress(EOFError):
            hand.worker.channel.send(order)

    def news(self) -> list[News]:
        """Wait until something happens to somebody; empty when the bell was rung."""
        found = []
        for key, _ in self._selector.select():
            if key.fileobj is self._bell:
                self._bell.recv(4096)
            else:
                found.append(self._hear(key.data))
        return found

    def close(self) -> None:
        """End the workers, idle ones by themselves and busy ones by force."""
        if self._closed:
            return
        self._closed = True
        self._starting.join()
        self._selector.close()
        for hand in self.hands:
            if hand.order is not None:
                hand.worker.kill()
            hand.worker.channel.close()
        for hand in self.hands:
            if not hand.worker.join(_END_S):
                hand.worker.kill()
                hand.worker.join(_END_S)
            hand.worker.close()
        self.hands.clear()
        self._bell.close()
        self._bell_rope.close()

    def _start(self) -> None:
        try:
            self._fill()
        except Exception as error:  # for whoever waits for the workers
            self._failure = error

    def _fill(self) -> None:
        if self._parcel is None:
            try:
                self._parcel = Parcel.wrap(self._task)
            except TypeError as error:
                raise TaskError(
                    f"task {self._task.name!r} cannot be sent to worker processes: {error}",
                    hint="keep open files, locks and generators out of it, or use workers=0",
                ) from error
        while len(self.hands) < self._n_workers and not self._closed:
            self.hands.append(self._add(self._parcel))

    def _add(self, parcel: Parcel) -> Hand:
        server = self._fork_server or ForkServer.shared()
        server.preload([ENTRY.partition(":")[0]])
        hand = Hand(server.fork(ENTRY))
        with contextlib.suppress(EOFError):  # if it is dead already, `news` will say so
            hand.worker.channel.send(Start(parcel, self._live_block))
        self._selector.register(hand.worker.channel, selectors.EVENT_READ, hand)
        return hand

    def _hear(self, hand: Hand) -> News:
        order = hand.order
        try:
            reply: Reply = hand.worker.channel.recv()
        except EOFError:
            return News(hand, order, None, self._replace(hand))
        hand.order = None
        if isinstance(reply.content, Trained) and reply.content.sums is not None:
            hand.outbox = reply.content.sums.block or hand.outbox
        return News(hand, order, reply)

    def _replace(self, hand: Hand) -> str:
        worker = hand.worker
        self._selector.unregister(worker.channel)
        worker.kill()  # it may have closed its channel and live on
        worker.join(_END_S)
        code = worker.exit_code
        worker.close()
        self.hands.remove(hand)
        self._fill()
        if code is None:
            return "in an unknown way"
        return f"by {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
