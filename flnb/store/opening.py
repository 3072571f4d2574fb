"""Opening the state of a lab, and making what a new one needs."""

from __future__ import annotations

from pathlib import Path

from flnb.core import Clock, failpoints
from flnb.core.errors import NotFoundError, StoreError
from flnb.store.address import LabAddress, working_folder
from flnb.store.disk import room_at
from flnb.store.history import History
from flnb.store.owner import claim, of_another, owner
from flnb.store.secret import make_secret
from flnb.store.state import StateStore


def open_state(named: LabAddress, clock: Clock, *, create: bool) -> tuple[Path, StateStore]:
    """Open the state of a lab; see `LabStore.open`.

    Returns:
        The folder of the lab, or this machine's working folder of a shared one; and the state.
    """
    if named.state is not None:
        state = _shared_state(named, named.state, clock, create=create)
        return working_folder(state.lab_id), state
    folder = named.place.folder
    assert folder is not None, "S3 without a database was refused"
    return folder, _state_in_folder(folder, clock, create=create)


def _state_in_folder(folder: Path, clock: Clock, *, create: bool) -> StateStore:
    database = folder / "state.db"
    if not database.exists():
        if not create:
            raise NotFoundError("lab", folder)
        _check_empty(folder)
    with room_at(folder):
        folder.mkdir(parents=True, exist_ok=True)
        state = StateStore(database, clock=clock, create=create)
        failpoints.reach("lab-made")
        make_secret(folder / "secret")
    return state


def _shared_state(named: LabAddress, where: str, clock: Clock, *, create: bool) -> StateStore:
    address = str(named.place)
    try:
        return StateStore(where, clock=clock, create=False, address=address)
    except NotFoundError:
        if not create:
            raise
    # Before the database remembers the address: one that cannot be must not stay there.
    place = named.place.below("history")
    history = History(place)
    history.check()
    history.close()
    if found := owner(place):
        try:  # another process may have made the lab meanwhile
            return StateStore(where, clock=clock, create=False, address=address)
        except NotFoundError as error:
            raise of_another(place, found) from error
    state = StateStore(where, clock=clock, address=address)
    claim(place, state.lab_id)
    return state


def _check_empty(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise StoreError(f"a lab is a folder, {folder} is a file", hint="name another folder")
    if folder.exists() and any(not item.name.startswith(".") for item in folder.iterdir()):
        raise StoreError(
            f"{folder} holds other things and no lab",
            hint="name a new or an empty folder; a lab that keeps its state in PostgreSQL is opened "
            "with state=",
        )
