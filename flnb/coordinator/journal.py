"""Steps of the open round, written behind the work.

Training need not wait for the disk: what simulated clients do has a name, and is the same if it is
done again. Whoever relies on a step waits for it with `durable`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from flnb.coordinator.rows import OpenRound
from flnb.core.failpoints import reach
from flnb.core.ids import ClientId, RunId
from flnb.core.messages import Outcome
from flnb.store import JournalRecord, StateStore


class Journal:
    """Writes the steps of one run in the lab's one thread for databases, in order.

    Args:
        state: Where they go.
        io: That thread.
        run: Whose steps they are.
    """

    def __init__(self, state: StateStore, io: ThreadPoolExecutor, run: RunId) -> None:
        self._state, self._io, self._run = state, io, run
        self._writes: list[asyncio.Future[None]] = []
        self._earlier: list[JournalRecord] = []

    def write(
        self, round_: OpenRound, kind: str, payload: Mapping[str, Any], written: Callable[[], None]
    ) -> None:
        """Begin to write a step; on the loop.

        Args:
            round_: The open round.
            kind: What happened.
            payload: More about it, as JSON.
            written: Called in the thread for databases once the step is on the disk.
        """

        def write() -> None:
            self._state.journal(self._run, round_.round, round_.attempt, kind, payload)
            written()

        self._writes.append(asyncio.get_running_loop().run_in_executor(self._io, write))

    async def read(self) -> None:
        """Read what an earlier process wrote of rounds that it did not close."""
        loop = asyncio.get_running_loop()
        read = self._state.journal_of_open_round
        self._earlier = await loop.run_in_executor(self._io, read, self._run)

    def accepted_before(self, round_: OpenRound) -> set[ClientId]:
        """Whose update a round had accepted already, in an earlier process."""
        return set(_accepted(self._earlier, round_))

    def note_lost_bodies(self, round_: OpenRound, lacked: Callable[[ClientId], bool]) -> None:
        """Write whose update had counted and is not here any more: its holder was asked again.

        Args:
            round_: The open round.
            lacked: Says of a client whether its update was not here at the begin.
        """
        if lost := sorted(filter(lacked, self.accepted_before(round_))):
            self.write(round_, "body-lost", {"clients": lost}, lambda: reach("body-lost"))

    async def durable(self) -> None:
        """Wait until every step so far is on the disk.

        Raises:
            StorageFullError: The disk is full.
        """
        writes, self._writes = self._writes, []
        await asyncio.gather(*writes)

    async def end(self) -> None:
        """Wait for what is under way; what goes wrong with it matters to nobody any more."""
        await asyncio.gather(*self._writes, return_exceptions=True)


def _accepted(steps: Iterable[JournalRecord], round_: OpenRound) -> Iterator[ClientId]:
    for step in steps:
        if (step.round, step.attempt, step.kind) == (round_.round, round_.attempt, "answered"):
            answers = zip(step.payload["rows"], step.payload["outcomes"], strict=True)
            yield from (round_.clients[row] for row, told in answers if told == Outcome.ACCEPTED)
