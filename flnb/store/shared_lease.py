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
from flnb.store.stays import SWEEP

log = logging.getLogger(__name__)

LEASE_S = 15.0
_RENEWALS = 3
"""In each lease: one may be late, and another one lost."""
_RETRY_S = 1.0


class Renewed(Released):
    """A row of the state that a thread renews until it is released."""

    def __init__(self, state: StateStore) -> None:
        self._state = state
        self._released = threading.Event()
        self._thread = threading.Thread(target=self._renew, name="flnb-lease", daemon=True)
        self._thread.start()

    @property
    def held(self) -> bool:
        """Whether it has neither been released nor lost, as far as is known here."""
        return not self._released.is_set() and self._state.lost is None

    def _again(self) -> None:
        """Renew the row; raises `LabLostError` when it is not there any more."""
        raise NotImplementedError

    def _ended(self) -> bool:
        """Stop to renew; False if that was done before."""
        if self._released.is_set():
            return False
        self._released.set()
        self._thread.join()
        return True

    def _renew(self) -> None:
        wait_s, told = LEASE_S / _RENEWALS, False
        while not self._released.wait(wait_s):
            try:
                self._again()
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


class SharedLease(Renewed):
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
        epoch, self.follows_in_order = state.begin_epoch(Holder.here(who), LEASE_S, on_lost)
        self.holder, self.epoch = epoch.holder, epoch.epoch
        super().__init__(state)

    def release(self, *, in_order: bool = True) -> None:
        """Let others have the lab; releasing twice does nothing.

        Args:
            in_order: Whether nothing of this process is half done. Otherwise who takes the lab next
                keeps its commits out first.
        """
        if not self._ended():
            return
        try:
            # Lost, or not reached: then it runs out by itself.
            with contextlib.suppress(StoreError):
                self._state.end_epoch(self.epoch, in_order=in_order)
        finally:
            self._state.tell_nobody()
            self._state.close()

    def _again(self) -> None:
        self._state.renew_epoch(self.epoch, LEASE_S)


class SharedStay(Renewed):
    """This process is a guest of a shared lab until it is released, or not renewed for `LEASE_S`.

    Args:
        state: The state of the lab.
        name: What the guest is called; `SWEEP` keeps guests out, for whoever holds the lab.
        on_lost: Called once, in any thread, when it is found out that it is a guest no more.

    Raises:
        LabHeldError: A guest of that name is there.
        RoundStateError: Commits are being let go; or guests are there, and none may be.
        StorageUnreachableError: The database does not answer.
    """

    def __init__(
        self,
        state: StateStore,
        name: str,
        *,
        on_lost: Callable[[LabLostError], None] | None = None,
    ) -> None:
        self.name = name
        here = Holder.here(f"guest {name}")
        self.holder, self.epoch = state.begin_stay(name, here, LEASE_S, on_lost)
        super().__init__(state)

    def release(self) -> None:
        """Leave the lab; releasing twice does nothing."""
        if not self._ended():
            return
        with contextlib.suppress(StoreError):  # gone already, or not reached: then it runs out
            self._state.end_stay(self.name)
        if self.name != SWEEP:
            self._state.tell_nobody()
            self._state.close()

    def check(self) -> None:
        """Find out now whether it is still there, and stay longer.

        Raises:
            LabLostError: It stood still for too long, and guests may be at work.
            StorageUnreachableError: The database does not answer.
        """
        self._state.renew_stay(self.name, LEASE_S)

    def _again(self) -> None:
        self._state.renew_stay(self.name, LEASE_S)
