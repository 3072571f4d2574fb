"""A bounded staging place on disk for single updates that arrived and are not folded yet.

A file counts once it is complete on the disk: it is written under another name, synced, renamed,
and the directory is synced. Opening a spool removes what a crash left half-written. Reading maps
the file, so folding takes no memory of its own.

    8 bytes    magic
    8 bytes    length of the header, little-endian
    …          header: JSON with id, layout hash and lengths, padded with spaces to 64 bytes
    …          float32 values, then int64 integers, little-endian
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from jaxtyping import Float32

from flnb.core.errors import IntegrityError, NotFoundError, StorageFullError, StoreError
from flnb.tensors.arrays import ALIGNMENT_BYTES, blocks
from flnb.tensors.layout import Layout
from flnb.tensors.model import Update

_MAGIC = b"flnbspl1"
_FRONT_BYTES = 16
_COMPLETE, _PARTIAL = ".update", ".partial"


@dataclass(frozen=True, slots=True)
class SpoolFile:
    """One staged update, complete on the disk."""

    update_id: str
    path: Path
    n_bytes: int
    """Size of the file."""
    layout_hash: str
    data_start: int
    """Where the values begin, in bytes; a multiple of 64."""

    def open(self, layout: Layout) -> Update:
        """Map the update into memory, read-only; it is read as it is used.

        The result stays readable after the file was deleted from the spool.

        Raises:
            IntegrityError: The update is of another layout.
        """
        if self.layout_hash != layout.hash:
            raise IntegrityError(
                f"update {self.update_id!r} is of layout {self.layout_hash[:12]}, "
                f"expected {layout.hash[:12]}"
            )
        data = np.memmap(self.path, np.uint8, "r")[self.data_start :]
        split = 4 * layout.n_values
        return Update(layout, data[:split].view(np.float32), data[split:].view(np.int64))

    def blocks(
        self, layout: Layout, size: int = 32_768
    ) -> Iterator[tuple[slice, Float32[np.ndarray, " block"]]]:
        """Read the values block by block: where the block lies, and its values.

        Raises:
            IntegrityError: The update is of another layout.
        """
        values = self.open(layout).values
        return ((span, values[span]) for span in blocks(values.size, size))


class Spool:
    """Staged updates in one directory, never more than `max_bytes` of them.

    One process at a time. Updates that were complete when the last process ended are there again;
    half-written ones are removed.

    Args:
        directory: Made if it is missing; holds nothing else.
        max_bytes: Bound on the sum of all files.
    """

    def __init__(self, directory: Path, max_bytes: int) -> None:
        self.directory, self.max_bytes = directory, max_bytes
        directory.mkdir(parents=True, exist_ok=True)
        self._files: dict[str, SpoolFile] = {}
        for path in sorted(directory.iterdir()):
            file = _read_header(path) if path.suffix == _COMPLETE else None
            if file:
                self._files[file.update_id] = file
            elif path.suffix in {_COMPLETE, _PARTIAL}:
                path.unlink()

    @property
    def files(self) -> tuple[SpoolFile, ...]:
        """Everything that is staged, ordered by id."""
        return tuple(self._files[update_id] for update_id in sorted(self._files))

    @property
    def used_bytes(self) -> int:
        """Bytes that the staged updates take."""
        return sum(file.n_bytes for file in self._files.values())

    def stage(self, update_id: str, update: Update) -> SpoolFile:
        """Write an update and wait until it is safe on the disk.

        Args:
            update_id: Names the update; staging the same name again replaces it.
            update: Not checked here: the values are written as they are.

        Raises:
            StoreError: The spool would go over its bound; nothing was written.
            StorageFullError: The disk is full; nothing was left behind.
        """
        head = _header(update_id, update)
        n_bytes = len(head) + update.values.nbytes + update.integers.nbytes
        replaced = self._files[update_id].n_bytes if update_id in self._files else 0
        if (used := self.used_bytes - replaced) + n_bytes > self.max_bytes:
            raise StoreError(
                f"spool {self.directory.name} holds {used} bytes, {n_bytes} more go over its bound "
                f"of {self.max_bytes}",
                hint="fold and delete staged updates first, or give the spool a larger bound",
            )
        path = self.directory / (hashlib.sha256(update_id.encode()).hexdigest()[:32] + _COMPLETE)
        partial = path.with_suffix(_PARTIAL)
        try:
            with partial.open("wb") as out:
                _write(out, head, update)
            partial.replace(path)
            _sync_directory(self.directory)
        except OSError as error:
            partial.unlink(missing_ok=True)
            if error.errno in {errno.ENOSPC, errno.EDQUOT}:
                free = shutil.disk_usage(self.directory).free
                raise StorageFullError(str(self.directory), free) from error
            raise
        file = SpoolFile(update_id, path, n_bytes, update.layout.hash, len(head))
        self._files[update_id] = file
        return file

    def delete(self, update_id: str) -> None:
        """Remove a staged update; whoever has it open can read on.

        Raises:
            NotFoundError: Nothing of that name is staged.
        """
        if update_id not in self._files:
            raise NotFoundError("staged update", update_id, self._files)
        self._files.pop(update_id).path.unlink(missing_ok=True)


def _header(update_id: str, update: Update) -> bytes:
    layout = update.layout
    text = json.dumps(
        {"id": update_id, "layout": layout.hash, "sizes": [layout.n_values, layout.n_integers]}
    ).encode()
    size = -(-(_FRONT_BYTES + len(text)) // ALIGNMENT_BYTES) * ALIGNMENT_BYTES
    front = _MAGIC + (size - _FRONT_BYTES).to_bytes(8, "little")
    return front + text.ljust(size - _FRONT_BYTES)


def _read_header(path: Path) -> SpoolFile | None:
    """Read a file's header; None if it is not a complete update."""
    try:
        with path.open("rb") as file:
            front = file.read(_FRONT_BYTES)
            length = int.from_bytes(front[8:], "little")
            text = file.read(min(length, path.stat().st_size))
            header = json.loads(text) if front[:8] == _MAGIC else {}
        n_values, n_integers = header["sizes"]
        n_bytes = _FRONT_BYTES + length + 4 * n_values + 8 * n_integers
        found = SpoolFile(header["id"], path, n_bytes, header["layout"], _FRONT_BYTES + length)
    except (ValueError, KeyError, TypeError):
        return None
    return found if path.stat().st_size == n_bytes else None


def _write(out: BinaryIO, head: bytes, update: Update) -> None:
    out.write(head)
    out.write(update.values.data)
    out.write(update.integers.data)
    out.flush()
    os.fsync(out.fileno())


def _sync_directory(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
