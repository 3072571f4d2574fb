"""Commits written by a process of their own, so that the rounds go on meanwhile.

A background thread would cost the training loop nearly the whole commit; a process costs one
copy into shared memory. There are two blocks of it, used in turn: the writer compares a version
with the one before, which must therefore stay where it is.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from flnb.core import RunId, failpoints
from flnb.core.errors import FLBaseError, StorageFullError, StoreError, WorkerDiedError
from flnb.processes import Channel, ForkServer, SharedBlock, Worker
from flnb.store.chunks import Groups
from flnb.store.history import History

NICENESS = 5
"""Training goes first: a commit has until the end of the next round."""
_ALIGNMENT = 64
_CLOSE_TIMEOUT_S = 60.0
_END_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class _Request:
    """One version to commit, and where it lies."""

    path: str
    run: RunId
    meta: Mapping[str, Any]
    block: int
    spans: tuple[tuple[str, str, int, int], ...]
    """(group, dtype, offset in bytes, number of values) of each array in the block."""


class Ticket:
    """A commit under way."""

    def __init__(self, writer: HistoryWriter, request: _Request) -> None:
        self.request = request
        self.tries = 1
        self.result: str | FLBaseError | None = None
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
        path: Folder of the history.
        fork_server: Where the process comes from; by default the one of this process.
    """

    def __init__(self, path: Path, *, fork_server: ForkServer | None = None) -> None:
        self._path = path
        self._fork_server = fork_server
        self._worker: Worker | None = None
        self._blocks: list[SharedBlock | None] = [None, None]
        self._unsent: set[int] = set()
        """Blocks that the process has not been given."""
        self._next = 0
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
                self._worker = server.fork("flnb.store.writer:serve", nice=NICENESS)
                self._unsent = {index for index, block in enumerate(self._blocks) if block}

    def submit(self, run: RunId, groups: Groups, meta: Mapping[str, Any]) -> Ticket:
        """Begin a commit; waits for the one before and for one copy, not for the disk.

        Args:
            run: Whose branch grows.
            groups: Group name to a flat array; copied, so they may change afterwards.
            meta: JSON facts about the version.

        Raises:
            WorkerDiedError: No writer process can be started.
        """
        with self._lock:
            if self._under_way is not None:
                self.settle(self._under_way, None)
            spans = self._fill(groups)
            ticket = Ticket(self, _Request(str(self._path), run, meta, self._next, spans))
            self._send(ticket.request)
            self._under_way = ticket
            return ticket

    def settle(self, ticket: Ticket, timeout_s: float | None) -> None:
        """Find out how a commit ended; `Ticket.wait` calls this.

        Raises:
            TimeoutError: It is still under way.
        """
        with self._lock:
            while not ticket.done:
                assert self._worker is not None
                try:
                    ticket.result = _result(self._worker.channel.recv(timeout_s))
                except EOFError:
                    self._retry(ticket)
            if self._under_way is ticket:
                self._under_way = None
                if isinstance(ticket.result, str):
                    # What was committed stays where it is for the next comparison.
                    self._next = 1 - ticket.request.block

    def reset(self, run: RunId, snapshot: str | None) -> None:
        """Put a run's branch back to its last named commit; see `History.reset`."""
        with self._lock:
            if self._under_way is not None:
                self.settle(self._under_way, None)
            history = History(self._path)
            history.reset(run, snapshot)
            history.close()

    def keep(self, tag: str, snapshot: str) -> None:
        """Keep a commit alive under a tag; see `History.keep`."""
        with self._lock:
            if self._under_way is not None:
                self.settle(self._under_way, None)
            history = History(self._path)
            history.keep(tag, snapshot)
            history.close()

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
            for block in filter(None, self._blocks):
                block.close()
            self._blocks = [None, None]

    def _fill(self, groups: Groups) -> tuple[tuple[str, str, int, int], ...]:
        spans, end = [], 0
        for name, array in groups.items():
            spans.append((name, array.dtype.str, end, array.size))
            end += -(-array.nbytes // _ALIGNMENT) * _ALIGNMENT
        block = self._block(max(end, 1))
        for name, dtype, offset, count in spans:
            block.array(dtype, offset=offset, count=count)[:] = groups[name]
        return tuple(spans)

    def _block(self, n_bytes: int) -> SharedBlock:
        block = self._blocks[self._next]
        if block is None or block.n_bytes < n_bytes:
            if block is not None:
                block.close()
            block = self._blocks[self._next] = SharedBlock.create(n_bytes)
            self._unsent.add(self._next)
        return block

    def _send(self, request: _Request) -> None:
        for _ in range(2):
            self.start()
            assert self._worker is not None
            fresh = {index: self._blocks[index] for index in self._unsent}
            try:
                self._worker.channel.send((request, fresh))
            except EOFError:
                self._forget_worker()
            else:
                self._unsent = set()
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


def serve(channel: Channel, _fds: Sequence[int]) -> None:
    """Commit what comes through the channel until it is closed; runs in the writer process."""
    import icechunk  # noqa: F401  # now, and not within the first commit
    import zarr  # noqa: F401  # likewise

    histories: dict[str, History] = {}
    blocks: dict[int, SharedBlock] = {}
    while True:
        request, fresh = channel.recv()
        blocks.update(fresh)
        history = histories.setdefault(request.path, History(Path(request.path)))
        block = blocks[request.block]
        groups = {
            name: block.array(dtype, offset=offset, count=count)
            for name, dtype, offset, count in request.spans
        }
        channel.send(_commit(history, request, groups))


def _commit(history: History, request: _Request, groups: dict[str, np.ndarray]) -> tuple[Any, ...]:
    failpoints.reach("writer-before-commit")
    try:
        snapshot = history.write(request.run, groups, request.meta)
    except StorageFullError as error:
        return "full", error.where, error.free_bytes
    except Exception as error:
        # Whatever it is, the coordinator must hear of it and pause the run.
        return "failed", f"{type(error).__name__}: {error}"
    failpoints.reach("writer-after-commit")
    return "done", snapshot


def _result(answer: tuple[Any, ...]) -> str | FLBaseError:
    match answer:
        case "done", str(snapshot):
            return snapshot
        case "full", where, free_bytes:
            return StorageFullError(where, free_bytes)
        case _:
            return StoreError(f"the commit could not be written: {answer[1]}")
