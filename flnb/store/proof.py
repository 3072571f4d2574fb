"""What proves that a commit is damaged, or not there, while one is read; all else passes as it is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from flnb.core.errors import DamagedError, NotFoundError
from flnb.store.causes import is_damage, look_up, names_no_snapshot
from flnb.store.filling import CHUNK_NOTE
from flnb.store.repository import FIRST_BRANCH

if TYPE_CHECKING:
    from icechunk import Repository


@contextmanager
def whole(snapshot: str) -> Iterator[None]:
    """Say of what proves damage that it is, and of which part; all else passes."""
    import icechunk
    import zarr

    try:
        yield
    except DamagedError as error:
        raise DamagedError(f"commit {snapshot} is damaged: {error.message}") from error
    except (icechunk.IcechunkError, zarr.errors.BaseZarrError) as error:
        if isinstance(error, icechunk.IcechunkError) and not is_damage(error):
            raise
        notes = [note for note in getattr(error, "__notes__", ()) if note.startswith(CHUNK_NOTE)]
        what = notes[0] if notes else "its description"
        raise DamagedError(f"commit {snapshot} is damaged: {what} cannot be read") from error


@contextmanager
def known(snapshot: str, repository: Repository) -> Iterator[None]:
    """Say of what shows that there is no such commit that it is so; all else passes."""
    import icechunk

    try:
        yield
    except icechunk.IcechunkError as error:
        if not names_no_snapshot(error):
            raise
        # Icechunk says so whatever keeps it from looking: these two raise what that is.
        found, branches = look_up(repository, snapshot), repository.list_branches()
        if found is not None:
            raise
        if branches == {FIRST_BRANCH}:
            # Another place, or an empty disk: that a commit is not here says nothing about it.
            raise NotFoundError("history", repository.storage) from error
        raise NotFoundError("snapshot", snapshot) from error
