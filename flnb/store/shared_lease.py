"""The right to write in a shared lab: a row of the state that its holder renews.

Only the database's clock counts. Whoever was away for longer than the lease, and finds that nobody
took the lab meanwhile, goes on.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable

from flnb.core.errors import LabLostError, StoreError
from flnb.store.lease import Holder, Released
from flnb.store.state import StateStore

log = logging.getLogger(__name__)

LEASE_S = 15.0
_RENEWALS = 3
"""In each lease: one may be late, and another one lost."""
_RETRY_S = 1.0


class SharedLease(Released):
    """A shared lab is this process' until it is released, or not renewed for `LEASE_S`.

    Args:
        state: The state of the lab.
        who: What holds it, such as `coordinator`; shown to others.
        on_lost: Called once, in any thread, when another process has taken the lab over.

    Raises:
        LabHeldError: Somebody holds the lab, and since when.
        StorageUnreachableError: The database does not answer.
    """

    def __init__(
        self,
        state: StateStore,
        who: str,
        *,
        on_lost: Callable[[LabLostError], None] | None = None,
    ) -> None:
        self._state = state
        epoch, self.follows_in_order = state.begin_epoch(Holder.here(who), LEASE_S, on_lost)
        self.holder, self.epoch = epoch.holder, epoch.epoch
        self._released = threading.Event()
        self._thread = threading.Thread(target=self._renew, name="flnb-lease", daemon=True)
        self._thread.start()

    @property
    def held(self) -> bool:
        """Whether this lease has neither been released nor lost, as far as is known here."""
        return not self._released.is_set() and self._state.lost is None

    def release(self, *, in_order: bool = True) -> None:
        """Let others have the lab; releasing twice does nothing.

        Args:
            in_order: Whether nothing of this process is half done. Otherwise who takes the lab next
                keeps its commits out first.
        """
        if self._released.is_set():
            return
        self._released.set()
        self._thread.join()
        try:
            # Lost, or not reached: then it runs out by itself.
            with contextlib.suppress(StoreError):
                self._state.end_epoch(self.epoch, in_order=in_order)
        finally:
            self._state.tell_nobody()
            self._state.close()

    def _renew(self) -> None:
        wait_s, told = LEASE_S / _RENEWALS, False
        while not self._released.wait(wait_s):
            try:
                self._state.renew_epoch(self.epoch, LEASE_S)
            except LabLostError:
                return
            except Exception as error:
                # Whatever it is: without this thread the lab is lost without a word.
                if not told:
                    strange = not isinstance(error, StoreError)
                    log.warning("the lease of the lab is not renewed: %s", error, exc_info=strange)
                wait_s, told = _RETRY_S, True
            else:
                wait_s, told = LEASE_S / _RENEWALS, False
