"""Follows a run that another process drives, in the state database that both can read.

It sees closed rounds and how the run stands; what the open round is doing is known to the process
that drives it alone.
"""

from __future__ import annotations

import logging
import threading
from concurrent.futures import Future
from dataclasses import replace
from typing import TYPE_CHECKING

from flnb.coordinator.picture import Picture
from flnb.core.errors import FLBaseError, StorageUnreachableError
from flnb.core.view import Status
from flnb.store import RunRecord

if TYPE_CHECKING:
    from flnb.coordinator.lab import Lab

INTERVAL_S, RESTING_S = 0.25, 0.5
"""Between two looks at a run that goes on, and at one that rests."""
LINGER_S = 3.0
"""So long a run that came to its rest is looked at on, also if nobody watches: a roll back lets it
rest first, and moves its head then."""

log = logging.getLogger(__name__)


class Following:
    """The picture of one run, kept up to date by a thread while it goes on or somebody watches.

    Args:
        lab: The lab.
        record: The run's row.
        before: Followed the run to its last rest; those who watch its picture see on.
    """

    def __init__(self, lab: Lab, record: RunRecord, before: Following | None = None) -> None:
        self.picture: Picture = before.picture if before else Picture(lab.first_view(record))
        self.done: Future[FLBaseError | None] = Future()
        """Resolves when the run rests, with what a person should know about it."""
        self._lab, self._record = lab, record
        self._course: tuple[str, int, int] | None = before._course if before else None
        self._position: int = before._position if before else 0
        self._over = threading.Event()
        if before is not None:
            before.end()
        self._look()
        name = f"flnb-follow-{record.name}"
        self._thread = threading.Thread(target=self._follow, name=name, daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Follow no more: another one does from now on."""
        self._over.set()
        self._thread.join()

    def _follow(self) -> None:
        linger_s = LINGER_S
        while linger_s > 0 or self.picture.watched:
            rests = self.done.done()
            interval_s = RESTING_S if rests else INTERVAL_S
            linger_s = linger_s - interval_s if rests else LINGER_S
            if self._over.wait(interval_s):
                return
            try:
                self._look()
            except StorageUnreachableError:
                continue  # whoever drives the run waits for the lab, too
            except Exception as error:
                # Whoever waits must not wait for ever; such as a lab that was moved away.
                if not rests:
                    log.exception("run %s cannot be followed any more", self._record.name)
                    ended = FLBaseError(f"the run cannot be followed any more: {error}")
                    self.done.set_result(ended)
                return

    def _look(self) -> None:
        state = self._lab.store.state
        # The row before the rounds: of a run that rests, no round is missed.
        record = state.run(self._record.id)
        taken_back = state.last_taken_back(record.id)
        if (course := (record.plan_hash, record.generation, taken_back)) != self._course:
            # Rounds that were never saved are done again, by another plan or with other clients; a head
            # that was moved has other rounds before it.
            fresh = self._lab.picture(record)
            self._course, self._position = course, fresh.position
            self.picture.become(fresh)
        for closing in state.summaries(record.id, after=self._position):
            self._position = closing.position
            self.picture.on_closed(closing)
        status = (stands := self._lab.first_view(record)).status
        error = why_it_rests(record)
        if self.picture.view.status is not status:
            self.picture.on_status(status, error)
        self.picture.show(replace(self.picture.view, awaited=stands.awaited, here=stands.here))
        if status.over and not self.done.done():
            self.done.set_result(error)


def why_it_rests(record: RunRecord) -> FLBaseError | None:
    """What a person should know about a run that rests, as it was written down."""
    if not record.error or not record.status.over or record.status is Status.INTERRUPTED:
        return None
    message, _, hint = record.error.partition("\n→ ")  # as an error is shown
    return FLBaseError(message, hint=hint)
