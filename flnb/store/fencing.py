"""Commits that keep out whoever held a shared lab before.

A coordinator that stands still within a commit goes on with it later, when another one has the lab.
Icechunk lets a commit through if its branch is where the commit began; so a branch is never put
back to a commit alone, where it may have begun, but to a *mark* on top of it: a commit of the new
epoch that changes no array. On a local disk Icechunk does not compare; there the writer looks under
its lock whether the newest commit is of a later epoch than its own.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from flnb.core import RunId, failpoints
from flnb.core.errors import CommitConflictError
from flnb.store.causes import words
from flnb.store.lease import Holder
from flnb.store.ordering import commit_in_order

if TYPE_CHECKING:
    from icechunk import Repository

EPOCH = "epoch"
"""Key of the epoch in the facts of a commit; labs in a folder have none there."""
_MARK_OF, _MARK_BY = "mark_of", "mark_by"
_TRIES = 10


def check_epoch(repository: Repository, run: RunId, tip: str, meta: Mapping[str, Any]) -> None:
    """Look whether a commit may stand on another one.

    Args:
        repository: Of the history.
        run: Whose branch it is.
        tip: The commit that it would stand on.
        meta: Facts of the commit that is to be written.

    Raises:
        CommitConflictError: The other one is of a later epoch: somebody else has the lab.
    """
    mine = meta.get(EPOCH)
    if mine is not None and _epoch(repository, tip) > mine:
        raise CommitConflictError(run)


def put_under_mark(repository: Repository, run: RunId, target: str, epoch: int) -> None:
    """Put a branch that is there to a commit, with a mark of an epoch on top.

    Args:
        repository: Of the history, locked where it must be.
        run: Whose branch.
        target: The commit.
        epoch: Of whoever holds the lab.

    Raises:
        ClockBehindError: The clock is behind that of who wrote the commit.
        CommitConflictError: Somebody has the lab in a later epoch, or writes and writes.
    """
    import icechunk

    for _ in range(_TRIES):
        tip = repository.lookup_branch(run)
        facts = repository.lookup_snapshot(tip).metadata
        if facts.get(EPOCH, 0) > epoch:
            break
        if _facts(target, epoch).items() <= facts.items():
            return
        try:
            if tip != target:
                repository.reset_branch(run, target, from_snapshot_id=tip)
            failpoints.reach("before-mark")
            _mark(repository, run, target, epoch)
        except icechunk.ConflictError:
            continue  # somebody committed between the two lines
        except icechunk.IcechunkError as error:
            if "conflict" not in words(error):
                raise
        else:
            return
    raise CommitConflictError(run)


def _mark(repository: Repository, run: RunId, target: str, epoch: int) -> None:
    import icechunk
    import zarr

    session = repository.writable_session(run)
    if session.snapshot_id != target:
        raise icechunk.IcechunkError("conflict: the branch has moved")
    # Icechunk writes no commit without a change; a name of its own makes two marks differ.
    zarr.open_group(session.store, mode="a").attrs["mark"] = f"{epoch}-{secrets.token_hex(8)}"
    commit_in_order(session, "mark", _facts(target, epoch))


def _facts(target: str, epoch: int) -> dict[str, Any]:
    """What a mark says: by which process, too, for guests that come one after another share an epoch."""
    return {EPOCH: epoch, _MARK_OF: target, _MARK_BY: Holder.here("").mark}


def _epoch(repository: Repository, snapshot: str) -> int:
    return int(repository.lookup_snapshot(snapshot).metadata.get(EPOCH, 0))
