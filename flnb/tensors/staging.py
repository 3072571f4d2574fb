"""One update on its way into a spool: written in pieces, in any order, and on the disk before it counts."""

from __future__ import annotations

import errno
import logging
import os
import shutil
import threading
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from flnb.core.errors import IntegrityError, StorageFullError, StoreError
from flnb.tensors.spool_file import SpoolFile

log = logging.getLogger(__name__)

_sync_data = getattr(os, "fdatasync", os.fsync)


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
        self._written = self._sent = 0
        """Bytes that were written, and how many of them there were when the disk was last asked for them."""
        self._lock, self._syncing = threading.Lock(), threading.Lock()
        """For whoever writes or ends it, and for whoever uses the file without that. In this order."""
        self._lost: OSError | None = None
        """What the disk said; it says so once only."""
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
        with self._lock, _room_in(self._partial.parent):
            self._check_going_on()
            _write_all(self._out.fileno(), view.cast("B"), self._file.data_start + offset_bytes)
            self._arrived.add(offset_bytes, stop)
            self._written += view.nbytes

    @property
    def unsynced_bytes(self) -> int:
        """What was written since `sync` began last; nothing where the disk has failed."""
        return 0 if self._lost is not None else self._written - self._sent

    def sync(self) -> None:
        """Wait until what was written so far is on the disk, while others go on writing.

        What is wrong with the disk is said by `commit`, which has less to wait for after this. To have the
        kernel begin by itself is not enough: a disk with a cache of its own, such as that of a virtual
        machine, takes everything at once and writes it when somebody waits.
        """
        with self._syncing:
            if self._out.closed or self._lost is not None:
                return
            self._sent = self._written
            try:
                _sync_data(self._out.fileno())
            except OSError as error:
                log.warning("update %s cannot be synced: %s", self._file.update_id, error)
                self._lost = error

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
                with self._syncing:
                    if self._lost is not None:
                        raise self._lost
                    os.fsync(self._out.fileno())
                    self._out.close()
                self._keep(self._partial, self._file)
            self._over = True
        return self._file

    def abandon(self) -> None:
        """Give the update and its room up, after a `sync` that is going on; does nothing once it has ended."""
        with self._lock:
            over, self._over = self._over, True
        if not over:
            self._undo_all()

    def _check_going_on(self) -> None:
        if self._over:
            raise StoreError(f"the staging of update {self._file.update_id!r} has ended")

    @contextmanager
    def _ended_by_errors(self) -> Iterator[None]:
        try:
            with _room_in(self._partial.parent):
                yield
        except BaseException:
            self._end()
            raise

    def _end(self) -> None:
        self._over = True
        self._undo_all()

    def _undo_all(self) -> None:
        with self._syncing:
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


@contextmanager
def _room_in(directory: Path) -> Iterator[None]:
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
