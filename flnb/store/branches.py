"""Branches of runs in Icechunk: a commit on one is begun, and put at its tip."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from flnb.core import RunId, failpoints
from flnb.core.errors import CommitConflictError
from flnb.store.causes import words
from flnb.store.ordering import commit_in_order
from flnb.store.repository import FIRST_BRANCH

if TYPE_CHECKING:
    from icechunk import Repository, Session


def begin(repository: Repository, run: RunId) -> Session:
    """Begin a commit on the branch of a run, and make the branch if there is none."""
    import icechunk

    try:
        return repository.writable_session(run)
    except icechunk.IcechunkError as error:
        if "ref not found" not in words(error):
            raise
    try:
        repository.create_branch(run, repository.lookup_branch(FIRST_BRANCH))
    except icechunk.IcechunkError as error:
        if "conflict" not in words(error):  # else another process has just made it
            raise
    failpoints.reach("branch-made")
    return repository.writable_session(run)


def commit(repository: Repository, session: Session, run: RunId, meta: Mapping[str, Any]) -> str:
    """Move the branch to what the session wrote, if it is still where the session began.

    The name of the commit tells ours apart: a server may take it, and the answer be lost. Icechunk
    asks again then, and hears that the branch has moved.

    Args:
        repository: Of the history.
        session: What `begin` gave.
        run: Whose branch it is.
        meta: Facts of the commit.

    Returns:
        The identity of the snapshot.

    Raises:
        ClockBehindError: The clock is behind that of who wrote the commit before.
        CommitConflictError: The branch has moved.
    """
    import icechunk

    name = secrets.token_hex(8)
    try:
        return commit_in_order(session, name, meta)
    except icechunk.ConflictError as error:
        tip = repository.lookup_branch(run)
        if repository.lookup_snapshot(tip).message == name:
            return tip
        raise CommitConflictError(run) from error
