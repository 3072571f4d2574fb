"""Commits written by a process of their own, so that the rounds go on meanwhile.

A background thread would cost the training loop nearly the whole commit; a process costs one
copy into shared memory, and none of what lies on a shelf (`flnb.tensors.Shelf`): that is lent. The
writer keeps nothing of a version but its checksums.

While the server of a bucket does not answer, the writer keeps the version and tries again; the
coordinator says so in the log. Only when its patience ends does the run pause.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from flnb.core import SYSTEM_CLOCK, RunId
from flnb.core.errors import FLBaseError, WorkerDiedError
from flnb.processes import ForkServer, SharedBlock, Worker, padded
from flnb.store.answers import Answer, error_of
from flnb.store.chunks import Groups
from flnb.store.committing import CommitRequest, Span, aws_environment
from flnb.store.fencing import EPOCH
from flnb.store.history import History
from flnb.store.place import HistoryPlace
from flnb.tensors import lent

log = logging.getLogger(__name__)

NICENESS = 5
"""Training goes first: a commit has until the end of the next round."""
_CLOSE_TIMEOUT_S = 60.0
_END_TIMEOUT_S = 5.0
PATIENCE_S = 60.0
"""How long a commit is tried again while nobody answers."""


class Ticket:
    """A commit under way."""

    def __init__(self, writer: HistoryWriter, request: CommitRequest) -> None:
        self.request = request
        self.tries = 1
        self.result: str | FLBaseError | None = None
        self.sums = ""
        """What tells the checksums of its chunks, once it is there: `History.sums_digest`."""
        self.held_up: str = ""
        """Why it is tried again; empty while all goes well."""
        self.groups: Groups | None = None
        """What is lent, until its end is known: it stays where it is."""
        self._writer = writer

    @property
    def done(self) -> bool:
        """Whether its end is known; `wait` finds it out."""
        return self.result is not None

    def wait(self, timeout_s: float | None = None) -> str:
        """Wait for the commit; returns the identity of its snapshot.

        Args:
            timeout_s: Longest wait; None waits until it is done.

        Raises:
            TimeoutError: It is still under way.
            StorageFullError: The disk is full.
            StorageUnreachableError: The server of the bucket did not answer for too long.
            AccessRefusedError: The bucket does not let us in any more.
            CommitConflictError: Another process moved the branch meanwhile.
            StoreError: It could not be written.
            WorkerDiedError: The writer process died twice over it.
        """
        self._writer.settle(self, timeout_s)
        assert self.result is not None
        if isinstance(self.result, FLBaseError):
            raise self.result
        return self.result


class HistoryWriter:
    """Writes commits in a process of its own, one at a time, for any number of runs.

    Args:
        place: Where the history lies.
        fork_server: Where the process comes from; by default the one of this process.
        patience_s: How long a commit is tried again while the server of a bucket does not answer.
    """

    def __init__(
        self,
        place: HistoryPlace | Path | str,
        *,
        fork_server: ForkServer | None = None,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self._place, self.patience_s = HistoryPlace.parse(place), patience_s
        self.epoch = 0
        """Of whoever holds a shared lab, in every commit; 0 in a folder, where a lock is enough."""
        self._history = History(self._place)
        self._fork_server = fork_server
        self._worker: Worker | None = None
        self._block: SharedBlock | None = None
        self._under_way: Ticket | None = None
        self._lock = threading.RLock()

    @property
    def pid(self) -> int | None:
        """Process id of the writer, None before the first commit."""
        return self._worker.pid if self._worker else None

    def start(self) -> None:
        """Start the process now, so that the first commit need not wait for its imports.

        Raises:
            WorkerDiedError: No process can be started.
        """
        with self._lock:
            if self._worker is None:
                server = self._fork_server or ForkServer.shared()
                self._worker = server.fork("flnb.store.committing:serve", nice=NICENESS)

    def check(self) -> None:
        """Find out now whether the place can hold a history; see `History.check`."""
        with self._lock:
            self._history.check()

    def submit(self, run: RunId, groups: Groups, meta: Mapping[str, Any]) -> Ticket:
        """Begin a commit; waits for the one before and for one copy, not for the disk.

        Args:
            run: Whose branch grows.
            groups: Group name to a flat array. Read-only ones on a shelf must not change any more,
                all others are copied.
            meta: JSON facts about the version.

        Raises:
            WorkerDiedError: No writer process can be started.
            StoreError: The bucket cannot hold a history, see `History.check`.
        """
        with self._lock:
            if not self._place.local:
                self._history.check()
            if self._under_way is not None:
                self.settle(self._under_way, None)
            blocks, spans = self._fill(groups)
            meta = {**meta, EPOCH: self.epoch} if self.epoch else meta
            request = CommitRequest(self._place, run, meta, self.patience_s, blocks, spans)
            ticket = Ticket(self, request)
            ticket.groups = groups
            self._send(ticket.request)
            self._under_way = ticket
            return ticket

    def settle(self, ticket: Ticket, timeout_s: float | None) -> None:
        """Find out how a commit ended; `Ticket.wait` calls this.

        Raises:
            TimeoutError: It is still under way.
        """
        with self._lock:
            ends_s = None if timeout_s is None else SYSTEM_CLOCK.monotonic_s() + timeout_s
            while not ticket.done:
                assert self._worker is not None
                left_s = ends_s and max(0.0, ends_s - SYSTEM_CLOCK.monotonic_s())
                try:
                    self._hear(ticket, self._worker.channel.recv(left_s))
                except EOFError:
                    self._retry(ticket)
            ticket.groups = None
            for block in ticket.request.blocks[1:]:
                block.close()
            if self._under_way is ticket:
                self._under_way = None

    def reset(self, run: RunId, snapshot: str | None) -> None:
        """Put a run's branch back to its last named commit; see `History.reset`."""
        with self._lock:
            if self._under_way is not None:
                self.settle(self._under_way, None)
            self._history.reset(run, snapshot, epoch=self.epoch)

    def keep(self, tag: str, snapshot: str) -> None:
        """Keep a commit alive under a tag; see `History.keep`."""
        with self._lock:
            if self._under_way is not None:
                self.settle(self._under_way, None)
            self._history.keep(tag, snapshot)

    @contextlib.contextmanager
    def between_commits(self) -> Iterator[None]:
        """Let nobody commit meanwhile: one that is under way is waited for, the next one waits."""
        with self._lock:
            if self._under_way is not None:
                self.settle(self._under_way, None)
            yield

    def close(self) -> None:
        """Wait for the commit under way, but not for one that hangs, and end the process."""
        with self._lock:
            if self._under_way is not None:
                with contextlib.suppress(TimeoutError):
                    self.settle(self._under_way, _CLOSE_TIMEOUT_S)
            if self._worker is not None:
                self._worker.channel.close()
                if not self._worker.join(_END_TIMEOUT_S):
                    self._worker.kill()
                self._worker.close()
                self._worker = None
            if self._block is not None:
                self._block.close()
                self._block = None
            self._history.close()

    def _hear(self, ticket: Ticket, answer: Answer) -> None:
        match answer:
            case "done", str(snapshot), str(sums):
                ticket.result, ticket.sums = snapshot, sums
            case "held up", str(reason):
                if not ticket.held_up:
                    log.warning("%s; the commit is tried again meanwhile", reason)
                ticket.held_up = reason
            case _:
                ticket.result = error_of(answer)

    def _fill(self, groups: Groups) -> tuple[tuple[SharedBlock, ...], tuple[Span, ...]]:
        """Copy what is not lent into the block, which comes first; say where everything lies."""
        spans, lent_blocks, end = list[Span](), list[SharedBlock](), 0
        for name, array in groups.items():
            place = None if array.flags.writeable else lent(array)
            if place is None:
                spans.append(Span(name, array.dtype.str, 0, end, array.size))
                end += padded(array.nbytes)
            else:
                lent_blocks.append(SharedBlock.attach(os.dup(place.fd), place.n_bytes))
                at = len(lent_blocks)
                spans.append(Span(name, array.dtype.str, at, place.offset, array.size))
        block = self._room(max(end, 1))
        for span in spans:
            if not span.block:
                block.array(span.dtype, offset=span.offset, count=span.n)[:] = groups[span.group]
        return (block, *lent_blocks), tuple(spans)

    def _room(self, n_bytes: int) -> SharedBlock:
        if self._block is None or self._block.n_bytes < n_bytes:
            if self._block is not None:
                self._block.close()
            self._block = SharedBlock.create(n_bytes)
        return self._block

    def _send(self, request: CommitRequest) -> None:
        for _ in range(2):
            self.start()
            assert self._worker is not None
            try:
                self._worker.channel.send((request, aws_environment()))
            except EOFError:
                self._forget_worker()
            else:
                return
        raise WorkerDiedError("the process that writes history died twice before it began")

    def _retry(self, ticket: Ticket) -> None:
        self._forget_worker()
        if ticket.tries == 2:
            ticket.result = WorkerDiedError(
                f"the process that writes history died twice over a commit of {ticket.request.run}"
            )
            return
        ticket.tries += 1
        try:
            self._send(ticket.request)
        except WorkerDiedError as error:
            ticket.result = error  # for whoever waits for it, now and later

    def _forget_worker(self) -> None:
        if self._worker is not None:
            self._worker.close()
            self._worker = None
