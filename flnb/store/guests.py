"""Guests of a lab in a folder: coordinators beside its holder, each with runs of its own.

A guest has a lock of the kernel under its name, so it is gone the moment its process is, however that
ended. And each has a share of one lock that whoever sweeps must have alone.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from flnb.core import SYSTEM_CLOCK, Clock
from flnb.core.errors import LabHeldError, RoundStateError
from flnb.store.lease import Holder, Lease, Released, holder, lock_now

FOLDER = "guests"
"""Of the locks of guests, in the folder of a lab."""
_SHARED = "guests.lock"
_SUFFIX = ".lock"
_SWEEP_TRIES = 1500
"""With a pause of 20 ms each: so long a guest waits for the end of a sweep."""


class GuestLease(Released):
    """The right to write runs of one's own in a lab, until released or until this process ends.

    Args:
        lab: The folder of the lab.
        name: What the guest is called, such as that of the cell of a study; one process has it.
        left: Called when it is released.
        clock: Where the time comes from that others see.

    Raises:
        LabHeldError: A guest of that name is at work, in another process or in this one.
        RoundStateError: Somebody lets commits of the lab go and does not end.
    """

    def __init__(
        self,
        lab: Path,
        name: str,
        *,
        left: Callable[[], None] = lambda: None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._left = left
        self.name, self._path = name, lab / FOLDER / f"{name}{_SUFFIX}"
        self._path.parent.mkdir(exist_ok=True)
        self._share = _shared(lab)
        try:
            self._lease = Lease(self._path, f"guest {name}", clock=clock)
            while not self._lease.is_at(self._path):  # who had the name took the file along
                self._lease.release()
                self._lease = Lease(self._path, f"guest {name}", clock=clock)
        except LabHeldError as error:
            os.close(self._share)
            raise taken(str(lab), name, error) from None
        except BaseException:
            os.close(self._share)
            raise
        self.holder = self._lease.holder

    @property
    def held(self) -> bool:
        """Whether this lease has not been released."""
        return self._lease.held

    def release(self) -> None:
        """Leave the lab; releasing twice does nothing."""
        if self.held:
            self._path.unlink(missing_ok=True)  # while it is locked: nobody else's
            self._lease.release()
            os.close(self._share)
            self._left()


def guest(lab: Path, name: str) -> Holder | None:
    """Who is at work in a lab as the guest of a name, None if nobody is.

    Args:
        lab: The folder of the lab.
        name: Of the guest.
    """
    found = holder(lab / FOLDER / f"{name}{_SUFFIX}")
    return found if found is not None and found.who == f"guest {name}" else None


def guests(lab: Path) -> dict[str, Holder]:
    """Who is at work in a lab as a guest, by name.

    Args:
        lab: The folder of the lab.
    """
    names = sorted(file.stem for file in (lab / FOLDER).glob(f"*{_SUFFIX}"))
    return {name: found for name in names if (found := guest(lab, name)) is not None}


def tidy(lab: Path) -> None:
    """Remove what guests left behind whose processes were killed."""
    with contextlib.suppress(FileNotFoundError):
        alone = os.open(lab / FOLDER, os.O_RDONLY)
        try:
            if lock_now(alone, fcntl.LOCK_EX, tries=1):
                for file in (lab / FOLDER).glob(f"*{_SUFFIX}"):
                    _remove_if_left(file)
        finally:
            os.close(alone)


@contextmanager
def without_guests(lab: Path) -> Iterator[None]:
    """Let no guest be at work, or begin, meanwhile; one that begins waits.

    Args:
        lab: The folder of the lab.

    Raises:
        RoundStateError: Guests are at work; says which, and since when.
    """
    share = _open(lab)
    try:
        if not lock_now(share, fcntl.LOCK_EX):
            raise in_the_way(str(lab), guests(lab))
        yield
    finally:
        os.close(share)


def in_the_way(lab: str, there: dict[str, Holder]) -> RoundStateError:
    """What somebody is told who needs the lab without guests.

    Args:
        lab: Its address.
        there: The guests.
    """
    who = ", ".join(f"{one} since {one.since:%Y-%m-%d %H:%M:%S} UTC" for one in there.values())
    return RoundStateError(
        f"commits of lab {lab} are let go only while no guest is at work; now there is "
        f"{who or 'one that just begins'}",
        hint="wait until the study rests, or end it; then look at a fresh preview",
    )


def taken(lab: str, name: str, error: LabHeldError) -> LabHeldError:
    """What somebody is told who wants to be the guest of a name that is there.

    Args:
        lab: Address of the lab.
        name: Of the guest.
        error: Says who has it.
    """
    held = LabHeldError(f"{lab}, as guest {name},", error.holder, error.since)
    held.hint = "that run or cell is at work there: wait for it, or end that process"
    return held


def _open(lab: Path) -> int:
    return os.open(lab / _SHARED, os.O_RDWR | os.O_CREAT, 0o644)


def _remove_if_left(file: Path) -> None:
    """Remove the lock of a guest that is gone, for the only process that tidies."""
    lock = os.open(file, os.O_RDWR)
    try:
        # Shared keeps guests from coming as well, and nobody who looks takes it for a guest's.
        if lock_now(lock, fcntl.LOCK_SH, tries=1) and os.fstat(lock).st_ino == file.stat().st_ino:
            file.unlink()
    finally:
        os.close(lock)


def _shared(lab: Path) -> int:
    share = _open(lab)
    if not lock_now(share, fcntl.LOCK_SH, tries=_SWEEP_TRIES):
        os.close(share)
        raise RoundStateError(
            f"commits of lab {lab} are being let go", hint="wait for that, then start again"
        )
    return share
