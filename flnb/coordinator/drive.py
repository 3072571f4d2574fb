"""One stretch of a run on the coordinator's loop: from a start or a resume to the next rest."""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import Future, ThreadPoolExecutor

from flnb.coordinator.picture import Picture
from flnb.coordinator.runner import Job, Runner
from flnb.core.errors import FLBaseError, StoreError
from flnb.core.failpoints import reach
from flnb.core.view import Status
from flnb.rounds import Fact
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
    """

    def __init__(self, job: Job, store: LabStore, io: ThreadPoolExecutor, picture: Picture) -> None:
        self.picture, self.population = picture, job.population
        self.done: Future[FLBaseError | None] = Future()
        """Resolves when the run rests, with what a person should know about it."""
        self._record, self._store, self._io = job.record, store, io
        self._runner: Runner | None = Runner(
            job, store, io, on_state=picture.on_state, on_closed=picture.on_closed
        )

    @property
    def over(self) -> bool:
        """Whether the run rests."""
        return self.done.done()

    def tell(self, fact: Fact) -> bool:
        """Pass a command on; on the loop's thread. False if the run rests or is about to."""
        return self._runner is not None and self._runner.tell(fact)

    def rest(self) -> None:
        """Give the open round up, save, and rest; on the loop's thread."""
        if self._runner is not None:
            self._runner.rest()

    async def go(self) -> None:
        """Drive the run to its rest. Whatever goes wrong ends here, on the run."""
        status: Status = Status.FAILED
        error: FLBaseError | None = None
        assert self._runner is not None, "a drive goes once"
        try:
            await self._write(Status.RUNNING)
            status, error = await self._runner.drive()
            if status in {Status.FINISHED, Status.STOPPED}:
                self.population.ended(self._record.id)
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
            self._runner = None
            try:
                await self._note_rest(status, error)
            finally:  # whoever waits must hear of the end, even if it could not be written
                self.picture.on_status(status, error)
                self.done.set_result(error)

    async def _note_rest(self, status: Status, error: FLBaseError | None) -> None:
        reach("rest-reached")
        try:
            await self._write(status, str(error) if error else None)
        except StoreError:
            # Most likely the disk that paused the run is still full; the picture says why.
            log.exception("the status of run %s could not be written", self._record.name)
        reach("rest-noted")

    async def _write(self, status: Status, error: str | None = None) -> None:
        write = self._store.state.set_status
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._io, write, self._record.id, status, error)
