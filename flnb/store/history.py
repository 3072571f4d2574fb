"""The history of a lab: every committed round is a snapshot of flat arrays, in Icechunk over Zarr.

One Icechunk branch a run and one array a group (parameters, optimiser, strategy …), never one
array a tensor: 62 arrays cost 138 ms a commit, one costs 4. Arrays are cut into chunks of 1 MiB,
those over 1 GiB into larger ones, and not compressed: bit-shuffled LZ4 saves 12 % of random floats for 1.8 times the processor
time at 11 million values.

A chunk that is as it was in the commit before is not written again. That is found by its BLAKE3,
which is committed with it anyway, and not by comparing it with the array of that commit: that one
would have to stay in memory, a model more.

Names of commits are rows in the state database; a commit that is not named there is an orphan,
to which `reset` never returns.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from flnb.core import RunId, failpoints
from flnb.core.errors import DamagedError, NotFoundError
from flnb.store.branches import begin, commit
from flnb.store.causes import words
from flnb.store.chunks import (
    Checksums,
    Form,
    Groups,
    arrange,
    flat,
    forms,
    sums_digest,
    write_chunks,
)
from flnb.store.disk import write_out
from flnb.store.fencing import check_epoch, put_under_mark
from flnb.store.filling import MakeVector, read_arrays
from flnb.store.place import HistoryPlace
from flnb.store.proof import known, whole
from flnb.store.repository import FIRST_BRANCH, exclusive, open_repository, plain_errors
from flnb.store.silence import Wait
from flnb.tensors import aligned

if TYPE_CHECKING:
    from icechunk import Repository, Session


_SUMS = "checksums"
"""Where a commit keeps those of its chunks."""


class _Commit(NamedTuple):
    """The last commit of this process: what the next one is compared with."""

    snapshot: str
    forms: Mapping[str, Form]
    sums: Checksums


class History:
    """Commits of all runs of a lab.

    Not for two threads at a time; several processes may read while one writes.

    Args:
        place: Where the Icechunk repository lies, made with the first write: a folder, or a place
            in S3.
        checked: Whether another process has found out that the place can hold a history.
    """

    def __init__(self, place: HistoryPlace | Path | str, *, checked: bool = False) -> None:
        self.place, self._checked = HistoryPlace.parse(place), checked
        self._wait = Wait(with_end=not self.place.local)
        self._repository: Repository | None = None
        self._last: _Commit | None = None

    def check(self) -> None:
        """Find out now whether the place can hold a history, and not with the first commit.

        Raises:
            NotFoundError: There is no such bucket.
            AccessRefusedError: The bucket does not let us in.
            StorageUnreachableError: Its server does not answer.
            StoreError: It ignores conditional writes, or holds something else.
        """
        self._open()

    def write(self, run: RunId, groups: Groups, meta: Mapping[str, Any]) -> str:
        """Commit a version of a run; returns the identity of the snapshot, once it is on the disk.

        Args:
            run: Whose branch grows.
            groups: Everything that the version consists of; nothing of it is kept.
            meta: JSON facts about the version, such as its round.

        Raises:
            StorageFullError: The disk is full; the branch is as it was.
            StorageUnreachableError: The server does not answer; writing again is safe.
            ClockBehindError: The clock is behind that of who wrote the commit before.
            CommitConflictError: Another process moved the branch meanwhile, or has taken the lab
                over; nothing was written.
            StoreError: Another process is writing and does not end.
            ValueError: An array is not flat, or not of numbers.
        """
        arrays = {name: flat(array) for name, array in groups.items()}
        with self._writing() as repository:
            session = begin(repository, run)
            check_epoch(repository, run, session.snapshot_id, meta)
            before, now = self._before(session.snapshot_id), forms(arrays)
            there = before.forms if before else {}
            self._wait.call(lambda: arrange(session.store, arrays, there))
            alike = [name for name in now if there.get(name) == now[name]]
            written = {name: before.sums[name] for name in alike} if before else {}
            sums = write_chunks(session.store, arrays, written, limit_s=self._wait.limit_s)
            failpoints.reach("chunks-written")
            snapshot = commit(repository, session, run, {**meta, _SUMS: sums})
            if self.place.folder is not None:  # who names the commit relies on it after a power cut
                write_out(self.place.folder)
        self._last = _Commit(snapshot, now, sums)
        return snapshot

    @property
    def sums_digest(self) -> str:
        """What tells the checksums of the version that was written last, here; for its row."""
        assert self._last is not None, "something was written"
        return sums_digest(self._last.sums)

    def read(
        self,
        snapshot: str,
        names: Sequence[str] | None = None,
        *,
        sums: str | None = None,
        vector: MakeVector = aligned,
    ) -> dict[str, np.ndarray]:
        """Read a version back.

        Args:
            snapshot: Its identity.
            names: Only these groups; all by default.
            sums: What `sums_digest` said when it was written, from a row. Each chunk is compared
                with its checksum, which lies in the commit; this tells that nobody has changed both.
            vector: Makes the arrays that are read into, such as `vector` of a shelf.

        Returns:
            Group name to a flat array of its own that starts on 64 bytes.

        Raises:
            NotFoundError: There is no such snapshot, or no such group in it.
            DamagedError: A part of it is proven to be missing, torn or changed; says which.
            StoreError: It cannot be read now.
        """
        with self._reading() as repository, whole(snapshot):
            with known(snapshot, repository):
                session = repository.readonly_session(snapshot_id=snapshot)
                committed = repository.lookup_snapshot(snapshot).metadata.get(_SUMS, {})
            if sums is not None and sums_digest(committed) != sums:
                raise DamagedError("its checksums are not those that were committed")
            arrays = self._wait.call(lambda: _arrays(repository, session, snapshot))
            if missing := set(names or ()) - arrays.keys():
                raise NotFoundError("group", min(missing), arrays)
            wanted = {name: arrays[name] for name in names or arrays}
            limit_s = self._wait.limit_s
            return read_arrays(session.store, wanted, committed, vector=vector, limit_s=limit_s)

    def meta(self, snapshot: str) -> dict[str, Any]:
        """Facts that were committed with a version.

        Raises:
            NotFoundError: There is no such snapshot.
            DamagedError: Its description is torn.
            StoreError: It cannot be read now.
        """
        with self._reading() as repository, whole(snapshot), known(snapshot, repository):
            found = dict(repository.lookup_snapshot(snapshot).metadata)
        found.pop(_SUMS, None)
        return found

    def reset(self, run: RunId, snapshot: str | None, *, epoch: int = 0) -> None:
        """Put a run's branch back to its last named commit, so that orphans stay behind.

        Args:
            run: Whose branch.
            snapshot: The commit; None empties the branch.
            epoch: On a shared lab that of its holder: whoever held it before cannot commit to the
                branch any more, see `fencing.py`.

        Raises:
            NotFoundError: There is no such snapshot.
            CommitConflictError: Somebody holds the lab in a later epoch.
            StoreError: Another process is writing and does not end.
        """
        with self._writing() as repository:
            target = snapshot or repository.lookup_branch(FIRST_BRANCH)
            with known(target, repository):
                if run not in repository.list_branches():
                    repository.create_branch(run, target)
                elif not epoch and repository.lookup_branch(run) != target:
                    repository.reset_branch(run, target)
                if epoch:
                    put_under_mark(repository, run, target, epoch)

    def keep(self, tag: str, snapshot: str) -> None:
        """Keep a commit alive under a tag, also when no branch leads to it any more.

        A tag that is there already stays; whoever gives one must mean the same commit by it, so the
        name of a tag says which.

        Raises:
            NotFoundError: There is no such snapshot.
        """
        import icechunk

        with self._writing() as repository, known(snapshot, repository):
            try:
                repository.create_tag(tag, snapshot_id=snapshot)
            except icechunk.IcechunkError as error:
                if "tag already exists" not in words(error):
                    raise

    @property
    def size_bytes(self) -> int:
        """Bytes of all commits, where they lie."""
        if self.place.folder is None:
            from flnb.store.bucket import size_bytes  # needed in S3 only

            return size_bytes(self.place)
        files = self.place.folder.rglob("*")
        return sum(file.stat().st_size for file in files if file.is_file())

    def close(self) -> None:
        """Let go of the repository; the next call opens it again."""
        self._repository = self._last = None

    def _open(self, *, create: bool = True) -> Repository:
        if self._repository is None or (create and not self._checked):
            checked = self._checked
            self._repository = open_repository(self.place, create=create, checked=checked)
            self._checked = checked or create
        return self._repository

    @contextmanager
    def _reading(self) -> Iterator[Repository]:
        with plain_errors(self.place):
            yield self._open(create=False)

    @contextmanager
    def _writing(self) -> Iterator[Repository]:
        with plain_errors(self.place):
            repository = self._open()
            with exclusive(self.place):
                yield repository

    def _before(self, tip: str) -> _Commit | None:
        """The commit that the next one stands on, if it was made here."""
        # Of any run: a fork stands on a commit of another branch.
        return self._last if self._last and self._last.snapshot == tip else None


def _arrays(repository: Repository, session: Session, snapshot: str) -> dict[str, Any]:
    """The arrays of a version, as Zarr opens them."""
    import zarr

    try:
        return dict(zarr.open_group(session.store, mode="r").arrays())
    except zarr.errors.NodeNotFoundError:
        # Zarr takes any error for "not there"; this raises what is behind it, unless it has passed.
        repository.lookup_snapshot(snapshot)
        return dict(zarr.open_group(session.store, mode="r").arrays())
