"""One stretch of a run on the coordinator's loop: from a start or a resume to the next rest."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace

from flnb.coordinator.guarding import Fired, go_back, pause_too
from flnb.coordinator.job import Job
from flnb.coordinator.picture import Picture
from flnb.coordinator.rows import OpenRound
from flnb.coordinator.runner import Runner
from flnb.coordinator.waiting import Waiting, Waits
from flnb.core.errors import FLBaseError, LabLostError, StoreError
from flnb.core.failpoints import reach
from flnb.core.view import Status
from flnb.rounds import Fact, PauseAsked, ResumeAsked, RoundsState, StopAsked
from flnb.store import LabStore

log = logging.getLogger(__name__)


class Drive:
    """A run that a coordinator drives, or drove until it came to rest.

    It takes commands from the moment it is made, also before `go` has begun.

    Args:
        job: What to run.
        store: The lab's store.
        io: The lab's one thread for databases.
        picture: Where the run is shown.
        look: Makes a fresh picture of it; blocks.
    """

    def __init__(
        self,
        job: Job,
        store: LabStore,
        io: ThreadPoolExecutor,
        picture: Picture,
        look: Callable[[], Picture],
    ) -> None:
        self.picture, self.population, self._look = picture, job.population, look
        self.done: Future[FLBaseError | None] = Future()
        """Resolves when the run rests, with what a person should know about it."""
        self._record, self._store, self._io = job.record, store, io
        self._job = job
        self._waiting = Waiting(self._write_waits)
        self._runner: Runner | None = self._made(job)
        self._asked: list[Fact] | None = None
        """Commands that wait until a guard has moved the head back; None when none does."""
        self._resting = False

    def _made(self, job: Job) -> Runner:
        return Runner(
            job,
            self._store,
            self._io,
            on_state=self._show,
            on_closed=self.picture.on_closed,
            on_taken_back=self._show_taken_back,
        )

    def _show(
        self, state: RoundsState, open_round: OpenRound | None, awaited: int, here: int
    ) -> None:
        self.picture.on_state(state, open_round, awaited, here)
        self._waiting.look(self.picture.view)

    async def _show_taken_back(self) -> None:
        """Show the rounds that there are, while others go on that were taken back."""
        self.picture.have_rounds_of(await asyncio.to_thread(self._look))

    @property
    def over(self) -> bool:
        """Whether the run rests."""
        return self.done.done()

    def tell(self, fact: Fact) -> bool:
        """Pass a command on; on the loop's thread. False if the run rests or is about to."""
        if self._asked is not None and not self._resting:
            self._asked.append(fact)
            return True
        return self._runner is not None and self._runner.tell(fact)

    def rest(self) -> None:
        """Give the open round up, save, and rest; on the loop's thread."""
        self._resting = True
        if self._runner is not None:
            self._runner.rest()

    async def go(self) -> None:
        """Drive the run to its rest. Whatever goes wrong ends here, on the run."""
        status: Status = Status.FAILED
        error: FLBaseError | None = None
        try:
            status, error = await self._stretches()
        except FLBaseError as caught:
            status, error = Status.PAUSED, caught
        except asyncio.CancelledError:
            status = Status.INTERRUPTED
            raise
        except Exception as caught:
            log.exception("run %s failed", self._record.name)
            error = FLBaseError(f"{type(caught).__name__}: {caught}", hint="see the log")
            error.__cause__ = caught
        finally:
            if _stops(self._left()) and status is not Status.FINISHED:
                status = Status.STOPPED
            self._runner = self._asked = None
            try:
                error = await self._note_rest(status, error)
            finally:  # whoever waits must hear of the end, even if it could not be written
                self.picture.on_status(status, error)
                self.done.set_result(error)

    async def _stretches(self) -> tuple[Status, FLBaseError | None]:
        """Drive until the run rests and no guard lets it go on."""
        assert self._runner is not None, "a drive goes once"
        await self._write(Status.RUNNING)
        status, error = await self._runner.drive()
        while (fired := self._runner.fired) is not None and not self._resting:
            self._asked = list(self._runner.left())
            if _rests(self._asked):
                # First what people want: a guard that would go back is looked at again when it goes on.
                if not _stops(self._asked):
                    error = await asyncio.to_thread(pause_too, self._store, self._job, fired)
                break
            self._asked.clear()
            self._runner.fired = None
            status, error = await self._go_back(fired)
        return status, error

    def _left(self) -> list[Fact]:
        """Commands that were taken and not carried out."""
        asked = self._asked or []
        return asked if self._runner is None else [*asked, *self._runner.left()]

    async def _go_back(self, fired: Fired) -> tuple[Status, FLBaseError | None]:
        """Do what a guard says, and drive on from there; whoever waits for the run waits on."""
        job = await asyncio.to_thread(go_back, self._store, self._job, fired)
        fresh = await asyncio.to_thread(self._look)
        noted = self.picture.view.noted
        fresh.view = replace(fresh.view, status=Status.RUNNING, noted=noted)
        self.picture.become(fresh)
        self._job, self._runner = job, self._made(job)
        asked, self._asked = self._asked or [], None
        for fact in asked:
            self._runner.tell(fact)
        if self._resting:
            return Status.PAUSED, None
        await self._write(Status.RUNNING)
        return await self._runner.drive()

    async def _note_rest(self, status: Status, error: FLBaseError | None) -> FLBaseError | None:
        """Write down why the run rests; returns what its holder is to know of it."""
        if status in {Status.FINISHED, Status.STOPPED}:
            self.population.ended(self._record.id)
        await self._waiting.end()
        reach("rest-reached")
        try:
            await self._write(status, str(error) if error else None)
        except LabLostError as lost:
            return lost  # it goes on elsewhere, and how it stands is written there
        except StoreError:
            # Most likely the disk that paused the run is still full; the picture says why.
            log.exception("the status of run %s could not be written", self._record.name)
        reach("rest-noted")
        return error

    async def _write_waits(self, status: Status, waits: Waits) -> None:
        try:
            await self._write(status, waits=waits)
        except FLBaseError as error:  # the run finds out by itself with what it writes next
            log.warning("what %s waits for could not be written: %s", self._record.name, error)

    async def _write(self, status: Status, error: str | None = None, waits: Waits = None) -> None:
        write = self._store.state.set_status
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._io, write, self._record.id, status, error, waits)


def _stops(asked: Sequence[Fact]) -> bool:
    return any(isinstance(fact, StopAsked) for fact in asked)


def _rests(asked: Sequence[Fact]) -> bool:
    """Whether people want a run to rest that was told these, in order."""
    turns = [fact for fact in asked if isinstance(fact, PauseAsked | ResumeAsked)]
    return _stops(asked) or isinstance(turns[-1] if turns else None, PauseAsked)
