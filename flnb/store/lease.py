"""Who may write in a lab: one process at a time, told by name to everybody else.

The lock is the kernel's (`flock`), so it is gone the moment its process is, however that ended;
the file only says who has it.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import socket
import time
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from flnb.core import SYSTEM_CLOCK, Clock
from flnb.core.errors import LabHeldError

LOCK = "lab.lock"
"""Name of the lock file in the folder of a lab."""
_WORD = secrets.token_hex(8)
"""Of this process: a number of a process is had again, in containers always, and hosts are renamed."""
_TRIES = 5
_PAUSE_S = 0.02
"""Somebody who only looks holds the lock for microseconds; that must not refuse a coordinator."""


@dataclass(frozen=True, slots=True)
class Holder:
    """The process that holds a lab."""

    who: str
    pid: int
    host: str
    since: datetime
    word: str = ""
    """Any that no other process has; empty of who was written down by an older flnb."""

    @classmethod
    def here(cls, who: str, clock: Clock = SYSTEM_CLOCK) -> Self:
        """This process, as it holds a lab from now on."""
        return cls(who, os.getpid(), socket.gethostname(), clock.now(), _WORD)

    @property
    def is_here(self) -> bool:
        """Whether it is this very process; the host is for people, and may be renamed meanwhile."""
        if not self.word:
            return (self.pid, self.host) == (os.getpid(), socket.gethostname())
        return (self.pid, self.word) == (os.getpid(), _WORD)  # a fork has the word of its parent

    @property
    def mark(self) -> str:
        """Tells its process from every other one."""
        return f"{self.pid}-{self.word}"

    def __str__(self) -> str:
        """Such as `coordinator (process 4711 on box)`."""
        return f"{self.who} (process {self.pid} on {self.host})"


class Released:
    """Something that is let go at the end of a `with`."""

    def release(self) -> None:
        """Let others have it; releasing twice does nothing."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        """The thing itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Release it."""
        self.release()


class Lease(Released):
    """The right to write in a lab, until released or until this process ends.

    Args:
        path: The lock file of the lab.
        who: What holds it, such as `coordinator`; shown to others.
        clock: Where the time comes from that others see.

    Raises:
        LabHeldError: Another process holds the lab, or this one does already.
    """

    def __init__(self, path: Path, who: str, *, clock: Clock = SYSTEM_CLOCK) -> None:
        fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        if not lock_now(fd, fcntl.LOCK_EX):
            os.close(fd)
            raise _held(path, _read(path))
        self._fd = fd
        self.holder = Holder.here(who, clock)
        try:
            os.ftruncate(fd, 0)
            os.pwrite(fd, json.dumps(asdict(self.holder), default=datetime.isoformat).encode(), 0)
        except BaseException:
            self.release()  # nobody could, once this object is lost
            raise

    @property
    def held(self) -> bool:
        """Whether this lease has not been released."""
        return self._fd >= 0

    def is_at(self, path: Path) -> bool:
        """Whether what is locked is still the file of this name, and nobody has removed it."""
        try:
            return os.fstat(self._fd).st_ino == path.stat().st_ino
        except FileNotFoundError:
            return False

    def release(self) -> None:
        """Let others have the lab; releasing twice does nothing."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def holder(path: Path) -> Holder | None:
    """Look who holds a lab, None when nobody does.

    Args:
        path: The lock file of the lab.
    """
    try:
        fd = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        return None if lock_now(fd, fcntl.LOCK_SH, tries=1) else _read(path)
    finally:
        os.close(fd)


def held_elsewhere(path: Path) -> LabHeldError | None:
    """Look whether another process than this one holds a lab; what to say then.

    Args:
        path: The lock file of the lab.
    """
    found = holder(path)
    return None if found is None or found.is_here else _held(path, found)


def _held(path: Path, found: Holder | None) -> LabHeldError:
    since = f"{found.since:%Y-%m-%d %H:%M:%S %Z}" if found else "just now"
    return LabHeldError(str(path.parent), str(found or "another process"), since)


def lock_now(fd: int, kind: int, *, tries: int = _TRIES) -> bool:
    """Lock a file that is open, without waiting for whoever keeps it; returns whether that worked.

    Args:
        fd: The file.
        kind: `fcntl.LOCK_EX` or `fcntl.LOCK_SH`.
        tries: How often, with pauses of 20 ms.
    """
    for left in reversed(range(tries)):
        try:
            fcntl.flock(fd, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            if left:
                time.sleep(_PAUSE_S)
        else:
            return True
    return False


def _read(path: Path) -> Holder | None:
    try:
        facts = json.loads(path.read_text())
        known = {one.name: facts[one.name] for one in fields(Holder) if one.name in facts}
        return Holder(**known | {"since": datetime.fromisoformat(facts["since"])})
    except (OSError, ValueError, TypeError, KeyError):
        return None  # its holder is writing it this moment
