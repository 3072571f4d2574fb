"""One update in a spool: its file, the header of it, and how it is written in pieces.

8 bytes    magic
8 bytes    length of the header, little-endian
…          header: JSON with id, layout hash, lengths and note, padded with spaces to 64 bytes
…          payload: float32 values, then int64 integers, little-endian
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import threading
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from flnb.core.errors import IntegrityError, StorageFullError, StoreError
from flnb.tensors.arrays import ALIGNMENT_BYTES, blocks
from flnb.tensors.layout import Layout
from flnb.tensors.model import Update
from flnb.tensors.sooner import SOONER_BYTES, begin_writing
from flnb.tensors.spare import mapped

_MAGIC = b"flnbspl1"
_FRONT_BYTES = 16


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
    note: Mapping[str, Any] = field(default_factory=dict, hash=False)
    """JSON that was written with the update."""

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
        data = mapped(self.path)[self.data_start :]
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


class Staging:
    """An update on its way into a spool, in pieces; made by `Spool.receive`.

    Its room is taken and a file is open until it ends, so end each one with `commit` or `abandon`.
    May be used from several threads at once.

    Args:
        partial: Where it is written.
        head: The header, as `header` makes it.
        file: What it will be once it is complete.
        spare: Whether there is a file of this size already, to be written over.
        keep: Takes the complete file in, under its own name.
        release: Gives its room back; called once if it is not taken in.

    Raises:
        StorageFullError: The disk is full; nothing was left behind.
    """

    def __init__(
        self,
        partial: Path,
        head: bytes,
        file: SpoolFile,
        *,
        spare: bool,
        keep: Callable[[Path, SpoolFile], None],
        release: Callable[[SpoolFile], None],
    ) -> None:
        self._partial, self._file, self._keep = partial, file, keep
        self._arrived = _Spans()
        self._unsent = slice(0, 0)
        """What was written last in one piece and is not on its way to the disk."""
        self._lock = threading.Lock()
        self._over = False
        self._undo = ExitStack()
        self._undo.callback(release, file)
        with self._ended_by_errors():
            self._out = partial.open("r+b" if spare else "xb", buffering=0)
            self._undo.callback(partial.unlink, missing_ok=True)
            self._undo.callback(self._out.close)
            if not spare:
                _take_room(self._out.fileno(), file.n_bytes)
            _write_all(self._out.fileno(), memoryview(head), 0)

    @property
    def n_bytes(self) -> int:
        """Size of the payload."""
        return self._file.n_bytes - self._file.data_start

    def write(self, offset_bytes: int, data: bytes | bytearray | memoryview) -> None:
        """Write a piece of the payload; pieces may come in any order and more than once.

        Args:
            offset_bytes: Where it lies in the payload: float32 values, then int64 integers.
            data: The piece, of any length.

        Raises:
            IntegrityError: It does not lie within the payload.
            StoreError: The update was committed or abandoned before.
            StorageFullError: The disk is full; the piece may be written again later.
        """
        view = memoryview(data)
        stop = offset_bytes + view.nbytes
        if offset_bytes < 0 or stop > self.n_bytes:
            raise IntegrityError(
                f"a piece of update {self._file.update_id!r} ends at byte {stop} and begins at "
                f"{offset_bytes}, its payload has {self.n_bytes} bytes"
            )
        if not view.nbytes:
            return
        with self._lock, room_in(self._partial.parent):
            self._check_going_on()
            _write_all(self._out.fileno(), view.cast("B"), self._file.data_start + offset_bytes)
            self._arrived.add(offset_bytes, stop)
            self._send_to_disk(offset_bytes, stop)

    def commit(self) -> SpoolFile:
        """Wait until the update is safe on the disk, and take it into the spool.

        Raises:
            IntegrityError: Some of it has not arrived; it may go on.
            StoreError: The update was committed or abandoned before.
            StorageFullError: The disk is full; nothing was left behind.
        """
        with self._lock:
            self._check_going_on()
            if self._arrived.n_bytes != self.n_bytes:
                raise IntegrityError(
                    f"{self._arrived.n_bytes} of the {self.n_bytes} bytes of update "
                    f"{self._file.update_id!r} have arrived"
                )
            with self._ended_by_errors():
                os.fsync(self._out.fileno())
                self._out.close()
                self._keep(self._partial, self._file)
            self._over = True
        return self._file

    def abandon(self) -> None:
        """Give the update and its room up; does nothing once it has ended."""
        with self._lock:
            if not self._over:
                self._end()

    def _send_to_disk(self, start: int, stop: int) -> None:
        """Let what came in one piece begin its way to the disk, once that is worth it."""
        self._unsent = slice(self._unsent.start if self._unsent.stop == start else start, stop)
        if (n_bytes := stop - self._unsent.start) >= SOONER_BYTES:
            begin = self._file.data_start + self._unsent.start
            begin_writing(self._out.fileno(), begin, n_bytes)
            self._unsent = slice(stop, stop)

    def _check_going_on(self) -> None:
        if self._over:
            raise StoreError(f"the staging of update {self._file.update_id!r} has ended")

    @contextmanager
    def _ended_by_errors(self) -> Iterator[None]:
        try:
            with room_in(self._partial.parent):
                yield
        except BaseException:
            self._end()
            raise

    def _end(self) -> None:
        self._over = True
        self._undo.close()


class _Spans:
    """Which bytes have arrived: spans that neither overlap nor touch, in order."""

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._stops: list[int] = []

    @property
    def n_bytes(self) -> int:
        return sum(self._stops) - sum(self._starts)

    def add(self, start: int, stop: int) -> None:
        first, last = bisect_left(self._stops, start), bisect_right(self._starts, stop)
        if first < last:  # these touch it: they become one
            start, stop = min(start, self._starts[first]), max(stop, self._stops[last - 1])
        self._starts[first:last], self._stops[first:last] = [start], [stop]


def header(update_id: str, layout: Layout, note: Mapping[str, Any]) -> bytes:
    """Make the part of a file that lies before the values.

    Raises:
        TypeError: JSON cannot hold the note.
    """
    sizes = [layout.n_values, layout.n_integers]
    fields = {"id": update_id, "layout": layout.hash, "sizes": sizes, "note": dict(note)}
    text = json.dumps(fields).encode()
    size = -(-(_FRONT_BYTES + len(text)) // ALIGNMENT_BYTES) * ALIGNMENT_BYTES
    front = _MAGIC + (size - _FRONT_BYTES).to_bytes(8, "little")
    return front + text.ljust(size - _FRONT_BYTES)


def described(head: bytes, path: Path) -> SpoolFile:
    """What a header says of the file at `path`.

    Raises:
        ValueError: It is not a whole header.
        LookupError: A field is missing.
        TypeError: A field is of another kind.
    """
    if head[:8] != _MAGIC or int.from_bytes(head[8:_FRONT_BYTES], "little") != len(head) - 16:
        raise ValueError("not a whole header of a spool's file")
    fields = json.loads(head[_FRONT_BYTES:])
    n_values, n_integers = fields["sizes"]
    n_bytes = len(head) + 4 * n_values + 8 * n_integers
    note = fields.get("note", {})  # files from before there were notes
    return SpoolFile(fields["id"], path, n_bytes, fields["layout"], len(head), note)


def read(path: Path) -> SpoolFile | None:
    """Read a file's header; None if it is not a complete update."""
    n_bytes = path.stat().st_size
    with path.open("rb") as file:
        front = file.read(_FRONT_BYTES)
        length = int.from_bytes(front[8:], "little")
        head = front + file.read(min(length, n_bytes))
    try:
        found = described(head, path)
    except (ValueError, LookupError, TypeError):
        return None
    return found if found.n_bytes == n_bytes else None


@contextmanager
def room_in(directory: Path) -> Iterator[None]:
    """Turn an error that means "the disk is full" into one that says so.

    Raises:
        StorageFullError: No space is left in the directory.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
            raise
        raise StorageFullError(str(directory), shutil.disk_usage(directory).free) from error


def _take_room(handle: int, n_bytes: int) -> None:
    # A disk that cannot hold the update says so now, not when half of it has been sent.
    try:
        os.posix_fallocate(handle, 0, n_bytes)
    except (AttributeError, OSError) as error:  # macOS has no such call, nor have some disks
        if isinstance(error, OSError) and error.errno not in {errno.EOPNOTSUPP, errno.EINVAL}:
            raise
        os.ftruncate(handle, n_bytes)


def _write_all(handle: int, data: memoryview, offset: int) -> None:
    while data.nbytes:
        written = os.pwrite(handle, data, offset)  # at most 2 GB at a time
        data, offset = data[written:], offset + written
