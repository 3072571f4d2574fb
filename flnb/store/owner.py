"""Which lab a history belongs to: its identity lies beside the commits.

Two databases may remember one address, if `DATABASE_URL` names another one for once, or one that is
empty. Each would be a lab, and to each the commits of the other are garbage that a sweep removes. So
the first one writes its identity there, and every other one is refused.
"""

from __future__ import annotations

from flnb.core.errors import StoreError
from flnb.store.place import HistoryPlace
from flnb.store.repository import exclusive, plain_errors

_FILE = "lab"


def owner(place: HistoryPlace) -> str:
    """Identity of the lab that a history belongs to; empty before the first one came.

    Raises:
        AccessRefusedError: The bucket does not let us in.
        StorageUnreachableError: Its server does not answer.
        StoreError: It cannot be read.
    """
    if place.folder is None:
        from flnb.store.bucket import read_object  # needed in S3 only

        return read_object(place, _FILE).decode()
    file = place.folder / _FILE
    with plain_errors(place):
        return file.read_text() if file.exists() else ""


def claim(place: HistoryPlace, lab_id: str) -> None:
    """Take a history for a lab, unless it belongs to one already.

    Args:
        place: Where it lies; it is there.
        lab_id: Identity of the lab.

    Raises:
        AccessRefusedError: The bucket does not let us in.
        StorageFullError: The disk is full.
        StorageUnreachableError: The server of the bucket does not answer.
        StoreError: It belongs to another lab.
    """
    found = owner(place) or _written(place, lab_id)
    if found != lab_id:
        raise of_another(place, found)


def of_another(place: HistoryPlace, found: str) -> StoreError:
    """What somebody is told whose database is not that of the lab.

    Args:
        place: Where the history lies.
        found: Identity of the lab that it belongs to.
    """
    return StoreError(
        f"{place} belongs to lab {found}, whose state is in another database",
        hint="give the database of that lab (state=, --state or DATABASE_URL), or another address",
    )


def _written(place: HistoryPlace, lab_id: str) -> str:
    """Write whose it is if nobody was faster; returns whose it is."""
    if place.folder is None:
        from flnb.store.bucket import write_once  # needed in S3 only

        return write_once(place, _FILE, lab_id.encode()).decode()
    with plain_errors(place), exclusive(place):
        if not (found := owner(place)):
            (place.folder / _FILE).write_text(lab_id)
        return found or lab_id
