"""A bounded staging place on disk for single updates that arrived and are not folded yet.

A file counts once it is complete on the disk: it is written under another name, synced, renamed,
and the directory is synced. Opening a spool removes what a crash left half-written. Reading maps
the file, so folding takes no memory of its own. `spool_file.py` says what is in a file.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flnb.core.errors import NotFoundError, StorageFullError, StoreError
from flnb.tensors.layout import Layout
from flnb.tensors.model import Update
from flnb.tensors.spare import SpareFiles
from flnb.tensors.spool_file import SpoolFile, described, header, read
from flnb.tensors.staging import Staging

_COMPLETE, _PARTIAL = ".update", ".partial"
_SPARES = 8
"""Updates of several rounds are deleted at once, when their rounds are in a commit."""


class Spool:
    """Staged updates in one directory, never more than `max_bytes` of them.

    One process at a time, any thread of it. Updates that were complete when the last process ended
    are there again; half-written ones are removed.

    Args:
        directory: Made if it is missing; holds nothing else.
        max_bytes: Bound on the sum of all files, those included that are being received.
    """

    def __init__(self, directory: Path, max_bytes: int) -> None:
        self.directory, self.max_bytes = directory, max_bytes
        directory.mkdir(parents=True, exist_ok=True)
        self._files: dict[str, SpoolFile] = {}
        self._reserved_bytes = 0
        self._numbers = itertools.count()
        self._lock = threading.Lock()
        """Held for moments: a file system that is busy keeps nobody from a look."""
        self._moving = threading.Lock()
        """Held while files get and lose their names; always taken before the other."""
        self._spares = SpareFiles(directory, _SPARES)
        for path in sorted(directory.iterdir()):
            file = read(path) if path.suffix == _COMPLETE else None
            if file:
                self._files[file.update_id] = file
            elif path.suffix in {_COMPLETE, _PARTIAL}:
                path.unlink()

    @property
    def files(self) -> tuple[SpoolFile, ...]:
        """Everything that is staged, ordered by id."""
        with self._lock:
            return tuple(self._files[update_id] for update_id in sorted(self._files))

    @property
    def used_bytes(self) -> int:
        """Bytes that the staged updates take; those that are being received are not counted."""
        with self._lock:
            return self._used_bytes()

    def stage(self, update_id: str, update: Update) -> SpoolFile:
        """Write an update and wait until it is safe on the disk.

        Args:
            update_id: Names the update; staging the same name again replaces it.
            update: Not checked here: the values are written as they are.

        Raises:
            StoreError: The spool would go over its bound; nothing was written.
            StorageFullError: The disk is full; nothing was left behind.
        """
        staging = self.receive(update_id, update.layout)
        try:
            staging.write(0, update.values.data)
            staging.write(update.values.nbytes, update.integers.data)
            return staging.commit()
        finally:
            staging.abandon()

    def receive(self, update_id: str, layout: Layout, note: Mapping[str, Any] = {}) -> Staging:
        """Make room for an update that arrives in pieces.

        Args:
            update_id: Names the update. When one of that name is complete, it replaces what was
                staged under it.
            layout: What the update is of.
            note: Anything that JSON can hold, kept with the update.

        Raises:
            StoreError: The spool would go over its bound; `fits` says whether waiting helps.
            StorageFullError: The disk is full; nothing was left behind.
            TypeError: JSON cannot hold the note.
        """
        head, file = self._planned(update_id, layout, note)
        with self._lock:
            if not self._has_room(file):
                held = self._used_bytes() + self._reserved_bytes
                raise StoreError(
                    f"spool {self.directory.name} holds {held} bytes, {file.n_bytes} more go over "
                    f"its bound of {self.max_bytes}",
                    hint="fold and delete staged updates first, or give the spool a larger bound",
                )
            self._reserved_bytes += file.n_bytes
            # Of its own, because the same update may be on its way twice.
            partial = file.path.with_suffix(f".{next(self._numbers)}{_PARTIAL}")
        try:
            spare = self._spares.take(file.n_bytes, partial)
        except BaseException:  # what ends a `Staging` gives the room back itself
            self._release(file)
            raise
        try:
            return Staging(partial, head, file, spare=spare, keep=self._keep, release=self._release)
        except StorageFullError:
            self._spares.drop()  # for the next try
            raise

    def fits(self, layout: Layout, *, update_id: str = "", note: Mapping[str, Any] = {}) -> bool:
        """Whether there is room now for an update to be received; another may take it first.

        Args:
            layout: What the update is of.
            update_id: Its name. Without name and note the answer may be wrong by their length.
            note: What is kept with it.

        Raises:
            StoreError: It is larger than the whole spool, so waiting is in vain.
        """
        _, file = self._planned(update_id, layout, note)
        if file.n_bytes > self.max_bytes:
            raise StoreError(
                f"an update of {file.n_bytes} bytes goes over the bound of spool "
                f"{self.directory.name}, {self.max_bytes}",
                hint="give the spool a larger bound",
            )
        with self._lock:
            return self._has_room(file)

    def delete(self, update_id: str) -> None:
        """Remove a staged update; whoever has it open can read on.

        Raises:
            NotFoundError: Nothing of that name is staged.
        """
        with self._moving:
            with self._lock:
                if update_id not in self._files:
                    raise NotFoundError("staged update", update_id, self._files)
                file = self._files.pop(update_id)
            self._spares.put(file.path)

    def tidy(self) -> None:
        """Delete what is only kept to be written over: nothing more comes for a while."""
        self._spares.drop()

    def _planned(
        self, update_id: str, layout: Layout, note: Mapping[str, Any]
    ) -> tuple[bytes, SpoolFile]:
        head = header(update_id, layout, note)
        stem = hashlib.sha256(update_id.encode()).hexdigest()[:32]
        return head, described(head, self.directory / (stem + _COMPLETE))

    def _used_bytes(self) -> int:
        return sum(file.n_bytes for file in self._files.values())

    def _has_room(self, file: SpoolFile) -> bool:
        replaced = self._files.get(file.update_id)
        used = self._used_bytes() - (replaced.n_bytes if replaced else 0)
        return used + self._reserved_bytes + file.n_bytes <= self.max_bytes

    def _keep(self, partial: Path, file: SpoolFile) -> None:
        """Take a synced file in."""
        with self._moving:
            with self._lock:
                self._files.pop(
                    file.update_id, None
                )  # it is replaced; the new one counts once synced
            partial.replace(file.path)
        try:
            _sync_directory(self.directory)
        except BaseException:
            file.path.unlink(missing_ok=True)
            raise
        with self._lock:
            self._files[file.update_id] = file
            self._reserved_bytes -= file.n_bytes

    def _release(self, file: SpoolFile) -> None:
        """Give the room of an update back that will not come."""
        with self._lock:
            self._reserved_bytes -= file.n_bytes


def _sync_directory(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
