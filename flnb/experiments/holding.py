"""Who executes a study: one runner at a time, told by name to everybody else.

On one machine a lock of the kernel says so, which is gone the moment its process is. On a lab that
several machines share a lease in the database says so as well, which the runner renews.
"""

from __future__ import annotations

import logging
from pathlib import Path
from types import TracebackType
from typing import Self

from flnb.core.errors import LabHeldError, StorageUnreachableError, StoreError, StudyHeldError
from flnb.store import Holder, LabStore, Lease
from flnb.store.lease import holder as holder_of

log = logging.getLogger(__name__)

LEASE_S = 60.0
RENEW_S = 15.0
_LOCK = "runner.lock"


class Holding:
    """The right to execute a study, until released or until this process ends.

    Args:
        store: Of the lab.
        study: Whose runner this process wants to be; known to the lab already.

    Raises:
        StudyHeldError: Another process executes it, or this one does already.
    """

    def __init__(self, store: LabStore, study: str) -> None:
        self._store, self._study = store, study
        path = lock_of(store, study)
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._lease = Lease(path, "a runner", clock=store.clock)
        except LabHeldError as error:
            raise StudyHeldError(study, error.holder, error.since) from None
        try:
            store.state.begin_running(study, self._lease.holder, LEASE_S)
        except BaseException:
            self._lease.release()
            raise
        self._renew_at_s = store.clock.monotonic_s() + RENEW_S

    def keep(self) -> None:
        """Renew the lease if it is time to; called at least every few seconds.

        Raises:
            StudyHeldError: Another process has taken the study over meanwhile.
        """
        now_s = self._store.clock.monotonic_s()
        if not self._store.state.shared or now_s < self._renew_at_s:
            return
        self._renew_at_s = now_s + RENEW_S
        try:
            mine = self._store.state.keep_running(self._study, self._lease.holder.word, LEASE_S)
        except StorageUnreachableError as error:
            log.warning("study %s: %s", self._study, error)  # the next renewal may still be in time
            return
        if not mine:
            taken = self._store.state.study_leased_to(self._study)
            raise StudyHeldError(self._study, str(taken or "another process"), "just now")

    def release(self) -> None:
        """Let others execute the study."""
        try:
            self._store.state.end_running(self._study, self._lease.holder.word)
        except StoreError as error:
            log.warning("study %s: %s", self._study, error)  # the lease runs out
        finally:
            self._lease.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()


def runner_of(store: LabStore, study: str) -> Holder | None:
    """Who executes a study at this moment; None if nobody does."""
    return holder_of(lock_of(store, study)) or (
        store.state.study_leased_to(study) if store.state.shared else None
    )


def lock_of(store: LabStore, study: str) -> Path:
    """The lock file of a study, in this machine's folder of the lab."""
    return store.path / "studies" / study / _LOCK
