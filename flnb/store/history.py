"""The history of a lab: every committed round is a snapshot of flat arrays, in Icechunk over Zarr.

One Icechunk branch a run and one array a group (parameters, optimiser, strategy …), never one
array a tensor: 62 arrays cost 138 ms a commit, one costs 4. Arrays are cut into chunks of 1 MiB
and not compressed: bit-shuffled LZ4 saves 12 % of random floats for 1.8 times the processor
time at 11 million values.

A chunk that is as it was in the commit before is not written again. That is found by comparing it
with the array of that commit, which is still in memory, and not by a hash: a comparison ends at
the first value that differs, cannot collide, and is quicker than any hash when nothing differs.

Names of commits are rows in the state database; a commit that is not named there is an orphan,
to which `reset` never returns.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from flnb.core import RunId, failpoints
from flnb.core.errors import NotFoundError, StoreError
from flnb.store.chunks import Groups, arrange, kept, read_array, write_chunks
from flnb.store.disk import room_at

if TYPE_CHECKING:
    from icechunk import Repository

_ROOT = "main"
"""Icechunk's own first branch, which stays empty; every run starts from it."""
_LOCK_TIMEOUT_S = 30.0
_LOCK_PAUSE_S = 0.01


class _Commit(NamedTuple):
    """The last commit of this process: what the next one is compared with."""

    snapshot: str
    groups: Groups


class History:
    """Commits of all runs of a lab.

    Not for two threads at a time; several processes may read while one writes.

    Args:
        path: The folder of the Icechunk repository, made with the first use.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._repository: Repository | None = None
        self._last: _Commit | None = None

    def write(self, run: RunId, groups: Groups, meta: Mapping[str, Any]) -> str:
        """Commit a version of a run; returns the identity of the snapshot.

        Args:
            run: Whose branch grows.
            groups: Everything that the version consists of. A read-only array is kept for
                comparison with the next version and must not change any more; a writable one is
                copied.
            meta: JSON facts about the version, such as its round.

        Raises:
            StorageFullError: The disk is full; the branch is as it was.
            StoreError: Another process is writing and does not end.
            ValueError: An array is not flat, or not of numbers.
        """
        arrays = {name: kept(array) for name, array in groups.items()}
        with self._writing() as repository:
            if run not in repository.list_branches():
                repository.create_branch(run, repository.lookup_branch(_ROOT))
                failpoints.reach("branch-made")
            session = repository.writable_session(run)
            before = self._before(session.snapshot_id)
            arrange(session.store, arrays, before)
            write_chunks(session.store, arrays, before)
            failpoints.reach("chunks-written")
            snapshot = session.commit("round", metadata=dict(meta))
        self._last = _Commit(snapshot, arrays)
        return snapshot

    def read(self, snapshot: str, names: Sequence[str] | None = None) -> dict[str, np.ndarray]:
        """Read a version back.

        Args:
            snapshot: Its identity.
            names: Only these groups; all by default.

        Returns:
            Group name to a flat array of its own that starts on 64 bytes.

        Raises:
            NotFoundError: There is no such snapshot, or no such group in it.
        """
        import zarr

        with _known(snapshot):
            session = self._open().readonly_session(snapshot_id=snapshot)
        arrays = dict(zarr.open_group(session.store, mode="r").arrays())
        if missing := set(names or ()) - arrays.keys():
            raise NotFoundError("group", min(missing), arrays)
        return {name: read_array(arrays[name]) for name in names or arrays}

    def meta(self, snapshot: str) -> dict[str, Any]:
        """Facts that were committed with a version.

        Raises:
            NotFoundError: There is no such snapshot.
        """
        with _known(snapshot):
            return dict(self._open().lookup_snapshot(snapshot).metadata)

    def reset(self, run: RunId, snapshot: str | None) -> None:
        """Put a run's branch back to its last named commit, so that orphans stay behind.

        Args:
            run: Whose branch.
            snapshot: The commit; None empties the branch.

        Raises:
            NotFoundError: There is no such snapshot.
            StoreError: Another process is writing and does not end.
        """
        with self._writing() as repository, _known(snapshot or "of an empty branch"):
            target = snapshot or repository.lookup_branch(_ROOT)
            if run not in repository.list_branches():
                repository.create_branch(run, target)
            elif repository.lookup_branch(run) != target:
                repository.reset_branch(run, target)

    def keep(self, tag: str, snapshot: str) -> None:
        """Keep a commit alive under a tag, also when no branch leads to it any more.

        A tag that is there already stays; whoever gives one must mean the same commit by it.

        Raises:
            NotFoundError: There is no such snapshot.
        """
        with self._writing() as repository, _known(snapshot):
            if tag not in repository.list_tags():
                repository.create_tag(tag, snapshot_id=snapshot)

    @property
    def size_bytes(self) -> int:
        """Bytes of all commits on the disk."""
        return sum(file.stat().st_size for file in self.path.rglob("*") if file.is_file())

    def close(self) -> None:
        """Let go of the repository; the next call opens it again."""
        self._repository = self._last = None

    def _open(self) -> Repository:
        if self._repository is None:
            import icechunk

            if "ICECHUNK_LOG" not in os.environ:
                icechunk.set_logs_filter("off")  # it writes warnings to the standard output
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with _exclusive(self.path.parent):
                if not self.path.exists() or not any(self.path.iterdir()):
                    self._create()
            storage = icechunk.local_filesystem_storage(str(self.path))
            self._repository = icechunk.Repository.open(storage)
        return self._repository

    def _create(self) -> None:
        """Make the repository whole or not at all: Icechunk takes no folder that holds half of one."""
        import icechunk

        draft = self.path.with_name(f".{self.path.name}")
        if draft.exists():  # of a process that was killed, or found the disk full
            shutil.rmtree(draft)
        icechunk.Repository.create(icechunk.local_filesystem_storage(str(draft)))
        failpoints.reach("history-made")
        draft.rename(self.path)

    @contextmanager
    def _writing(self) -> Iterator[Repository]:
        import icechunk

        with room_at(self.path, icechunk.IcechunkError):
            repository = self._open()
            with _exclusive(self.path):
                yield repository

    def _before(self, tip: str) -> Groups:
        """Arrays of the commit that the next one stands on, as far as they are in memory."""
        # Of any run: a fork stands on a commit of another branch.
        return self._last.groups if self._last and self._last.snapshot == tip else {}


@contextmanager
def _exclusive(folder: Path) -> Iterator[None]:
    """One writer at a time, although Icechunk cannot compare and swap on a local disk.

    The writer process of a coordinator that was killed may still be at work when the next
    coordinator resets its branch.
    """
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for _ in range(int(_LOCK_TIMEOUT_S / _LOCK_PAUSE_S)):
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                time.sleep(_LOCK_PAUSE_S)
        else:
            raise StoreError(
                f"another process has been writing to {folder} for {_LOCK_TIMEOUT_S:.0f} s",
                hint="look for a history writer that hangs, end it, then resume the run",
            )
        yield
    finally:
        os.close(fd)


@contextmanager
def _known(snapshot: str) -> Iterator[None]:
    import icechunk

    try:
        yield
    except icechunk.IcechunkError as error:
        if "not found" not in str(error).lower():
            raise
        raise NotFoundError("snapshot", snapshot) from error
