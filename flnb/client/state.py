"""A client's home: a folder with its key, what it joined as, and a lock.

identity.pem   the private key; readable by its owner alone
next.pem       the key that shall take its place, until the coordinator has said that it does
joined.json    under which name it joined which lab
outbox/        signed updates whose fate is open
base/          the last version that was received
states/        what the client's own algorithm remembers
lock           held by the process that is this client
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import socket
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from flnb.core import SYSTEM_CLOCK, ClientId
from flnb.core.errors import StoreError
from flnb.transport.identity import Identity

_KEY, _NEXT = "identity.pem", "next.pem"


@dataclass(frozen=True, slots=True)
class Joined:
    """Who this client is."""

    client: ClientId
    lab: str
    invites: tuple[str, ...]
    """Digests of the tokens that it joined with; none of them is used again."""


class Home:
    """A client's folder, held by this process until `release`.

    Args:
        path: The folder; made, for its owner alone, if it is missing.

    Raises:
        StoreError: Another process is this client, or a file cannot be read.
    """

    def __init__(self, path: Path) -> None:
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(
                f"{path} cannot be the folder of a client: {error.strerror}",
                hint="name another one with home=, or set FLNB_HOME",
            ) from error
        self.path = path
        self._lock = _locked(path)
        try:
            self.identity = Identity.load_or_create(path / _KEY)
            self.joined = _read_joined(path / "joined.json")
        except BaseException:
            self.release()
            raise

    @property
    def outbox(self) -> Path:
        """Where signed updates are kept."""
        return self.path / "outbox"

    @property
    def base(self) -> Path:
        """Where the last version is kept."""
        return self.path / "base"

    @property
    def states(self) -> Path:
        """Where the client's own states are kept."""
        return self.path / "states"

    @property
    def is_rotating(self) -> bool:
        """Whether there is a key that shall take the place of `identity`, or has already."""
        return (self.path / _NEXT).exists()

    def next_identity(self) -> Identity:
        """The key that shall take the place of `identity`; the same one until it did.

        Raises:
            StoreError: It cannot be read or written.
        """
        return Identity.load_or_create(self.path / _NEXT)

    def adopt_next(self) -> None:
        """The coordinator knows the next key: from now on it is this client's."""
        fresh = self.next_identity()
        (self.path / _NEXT).replace(self.path / _KEY)
        sync_folder(self.path)
        self.identity = fresh

    def drop_next(self) -> None:
        """The coordinator will not know the next key."""
        (self.path / _NEXT).unlink(missing_ok=True)

    def remember(self, joined: Joined) -> None:
        """Write down that it has joined."""
        draft = self.path / "joined.json.partial"
        with draft.open("w", encoding="utf-8") as file:
            json.dump(asdict(joined), file)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self.path / "joined.json")
        sync_folder(self.path)
        self.joined = joined

    def release(self) -> None:
        """Let another process be this client; releasing twice does nothing."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1


def default_home(lab: str, client: str) -> Path:
    """Where a client lives if nobody says otherwise: below `FLNB_HOME`, or `~/.flnb`."""
    root = os.environ.get("FLNB_HOME")
    name = re.sub(r"[^A-Za-z0-9._-]", "_", f"{lab}-{client}")[:120]
    return (Path(root) if root else Path.home() / ".flnb") / "clients" / name


def sync_folder(folder: Path) -> None:
    """Wait until names in a folder are on the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _locked(home: Path) -> int:
    # The lock is the kernel's, so it is gone the moment its process is, however that ended.
    path = home / "lock"
    lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise StoreError(
            f"this client runs already: {_holder(path)} has its folder {home}",
            hint="stop that process, or give this client an invite and a home of its own",
        ) from None
    since = f"{SYSTEM_CLOCK.now():%Y-%m-%d %H:%M:%S} UTC"
    facts = {"pid": os.getpid(), "host": socket.gethostname(), "since": since}
    os.ftruncate(lock, 0)
    os.pwrite(lock, json.dumps(facts).encode(), 0)
    return lock


def _holder(path: Path) -> str:
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        return f"process {facts['pid']} on {facts['host']}, since {facts['since']},"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"  # that is writing its name this moment


def _read_joined(path: Path) -> Joined | None:
    try:
        facts: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return Joined(ClientId(facts["client"]), facts["lab"], tuple(facts["invites"]))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StoreError(
            f"{path} cannot be read: {error}",
            hint="remove that file and join again with a new invite",
        ) from error
