"""Closes rounds durably, in order, while the next round already runs.

A round that is written to history goes: snapshot, then the one closing transaction, then the
projection. At most one snapshot is in flight. What the transaction does not name never happened.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from flnb.core.clock import SYSTEM_CLOCK
from flnb.core.errors import CommitConflictError
from flnb.core.failpoints import reach
from flnb.core.plan import Plan
from flnb.store import Closing, LabStore, RunRecord
from flnb.tensors import Model, pack

SHARE = 0.02
"""Of the time, that `commit_every="auto"` lets history cost at most; journal, closing and tables
share what is left of the 5 % that a round may cost more than a bare one."""


log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Version:
    """A version of the model with the server optimiser's state that belongs to it."""

    round: int
    model: Model
    optimiser: object

    def groups(self) -> dict[str, np.ndarray]:
        """The arrays of a commit, one flat array a group."""
        return {
            "parameters": self.model.values,
            "integers": self.model.integers,
            "optimiser": pack(self.optimiser),
        }


class Closer:
    """Takes closed rounds of one run and makes them durable.

    Args:
        store: The lab's store.
        io: The lab's one thread for databases.
        commit_every: The plan's setting.
        on_closed: Called on the loop with each closing that is durable.
        about: JSON facts that go into each commit, such as the plan's digest.
    """

    def __init__(
        self,
        store: LabStore,
        io: ThreadPoolExecutor,
        commit_every: int | Literal["auto"],
        on_closed: Callable[[Closing], None],
        about: Mapping[str, Any] | None = None,
    ) -> None:
        self._about = dict(about or {})
        self._store, self._io, self._every, self._on_closed = store, io, commit_every, on_closed
        self._queue: asyncio.Queue[tuple[Closing, Version | None]] = asyncio.Queue()
        self._in_flight = asyncio.Semaphore(1)
        self._history = ThreadPoolExecutor(1, thread_name_prefix="flnb-history")
        self._next_at_s = 0.0
        self._error: Exception | None = None
        self._newest: Closing | None = None
        """As it is durable."""
        self._again_until = 0
        self._on_taken_back: Callable[[], Awaitable[None]] | None = None
        self._task = asyncio.create_task(self._work(), name="flnb-closer")

    def expect_again(self, until: int, on_taken_back: Callable[[], Awaitable[None]]) -> None:
        """Expect rounds that were closed before: their rows stay if they come out as they did.

        Args:
            until: The last of them.
            on_taken_back: Called on the loop when one came out otherwise, after its row and those of all
                later rounds are gone, and before it is closed.
        """
        self._again_until, self._on_taken_back = until, on_taken_back

    async def put(self, closing: Closing, version: Version, *, must_commit: bool) -> None:
        """Hand a closed round over; waits only if a snapshot that must be written is held up.

        Raises:
            Exception: Whatever went wrong with an earlier round.
        """
        commit = must_commit or self._due(closing.round)
        if commit:
            await self._in_flight.acquire()
        self._raise()
        self._queue.put_nowait((closing, version if commit else None))

    async def drain(self) -> None:
        """Wait until everything handed over is durable.

        Raises:
            Exception: Whatever went wrong with it.
        """
        joined = asyncio.create_task(self._queue.join())
        await asyncio.wait({joined, self._task}, return_when=asyncio.FIRST_COMPLETED)
        joined.cancel()
        self._raise()

    async def save(self, version: Version) -> None:
        """Wait until everything handed over is durable, and the newest round a commit.

        Args:
            version: What the newest round made.

        Raises:
            Exception: Whatever went wrong with it.
        """
        await self.drain()
        if self._newest is not None and self._newest.snapshot is None:
            # Its closing is durable already; this adds the name of its snapshot.
            await self.put(self._newest, version, must_commit=True)
            await self.drain()

    @property
    def broken(self) -> bool:
        """Whether a round could not be made durable."""
        return self._error is not None

    async def close(self) -> None:
        """Stop; what is not durable by now is given up."""
        self._task.cancel()
        await asyncio.wait({self._task})
        await asyncio.to_thread(self._history.shutdown, wait=True)

    def _due(self, round_number: int) -> bool:
        if self._every != "auto":
            return round_number % self._every == 0
        return not self._in_flight.locked() and SYSTEM_CLOCK.monotonic_s() >= self._next_at_s

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            closing, version = await self._queue.get()
            try:
                if version is not None:
                    closing = await loop.run_in_executor(
                        self._history, self._commit, closing, version
                    )
                await self._compare(closing)
                await loop.run_in_executor(self._io, self._store.close_round, closing)
                self._newest = closing
                _say_closed(closing)
                self._on_closed(closing)
            except Exception as error:
                # Handed to whoever comes next with `put` or `drain`: the run pauses there. The
                # snapshot in flight may be this one or one that waits behind it; either way
                # nobody else would let go of it.
                self._error = error
                self._in_flight.release()
                return
            if version is not None:
                self._in_flight.release()
            self._queue.task_done()

    async def _compare(self, closing: Closing) -> None:
        """Let no row stay that tells of another model than the one that is made now."""
        if closing.round > self._again_until:
            return
        other = self._store.state.take_back_if_other
        if await asyncio.get_running_loop().run_in_executor(self._io, other, closing):
            numbers = closing.round, self._again_until
            log.warning("rounds %d to %d, done again, came out otherwise than before", *numbers)
            self._again_until = 0  # nothing is left of the first time
            if self._on_taken_back is not None:
                await self._on_taken_back()

    def _commit(self, closing: Closing, version: Version) -> Closing:
        """Write a snapshot; runs in the history thread."""
        began_s = SYSTEM_CLOCK.monotonic_s()
        digest = version.model.sha256()
        reach("before-snapshot")
        self._store.check_held()
        log = {"log": self._store.state.signed_log_head()}
        facts = self._about | _facts(closing, digest) | log
        ticket = self._store.writer.submit(closing.run, version.groups(), facts)
        try:
            snapshot = ticket.wait()
        except CommitConflictError:
            self._store.check_held()  # which says who is in the way, on a shared lab
            raise
        reach("after-snapshot")
        # This process and the writer work for it in turn: the time it took is what it cost.
        now_s = SYSTEM_CLOCK.monotonic_s()
        self._next_at_s = now_s + (now_s - began_s) * (1 / SHARE - 1)
        return replace(closing, snapshot=snapshot, parameters_sha256=digest, sums=ticket.sums)


def _say_closed(closing: Closing) -> None:
    named = {"run": closing.run, "round": closing.round, "generation": closing.generation}
    counts = {"invited": closing.invited, "accepted": closing.accepted, "commit": closing.snapshot}
    log.info("round %d closed", closing.round, extra=named | counts)


def commit_facts(record: RunRecord) -> dict[str, Any]:
    """What every commit of a run says of the run: enough to know what made it."""
    plan = Plan.from_stored(record.plan_yaml)
    return {
        "run": record.trunk_name,
        "plan_hash": record.plan_hash,
        "seed": plan.seed,
        "task": record.task_name,
        "fingerprint": record.fingerprint,
        "environment": record.environment,
    }


def _facts(closing: Closing, digest: str) -> dict[str, Any]:
    """What a commit says of itself: which round, who took part with which weight, when."""
    updates = closing.updates
    used = np.asarray(updates["accepted"], bool) if updates else np.zeros(0, bool)
    columns = ("client", "weight") if updates else ()
    return {
        "branch": closing.branch,
        "generation": closing.generation,
        "round": closing.round,
        "attempt": closing.attempt,
        "closed_at": closing.closed_at.isoformat(),
        "sha256": digest,
        "participants": {name: np.asarray(updates[name])[used].tolist() for name in columns},
    }
