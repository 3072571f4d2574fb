"""Reaching runs for a command: in a lab that is there, or at a coordinator elsewhere."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from flnb.cli import addresses, output

_SILENT_S = 1.0
"""A holder that goes on answers much sooner."""

if TYPE_CHECKING:
    from flnb.coordinator import Lab
    from flnb.coordinator.control.connection import Connection


def existing(path: Path) -> Lab:
    """Open a lab that is there.

    Raises:
        NotFoundError: There is none.
    """
    addresses.remember(path)
    if not addresses.is_shared(path) and not is_lab(path):
        from flnb.core.errors import NotFoundError  # brings pydantic, which help does not need

        error = NotFoundError("lab", path)
        error.hint = "say where with --lab DIR or FLNB_LAB, or make one: flnb quickstart"
        raise error
    from flnb.coordinator import Lab  # brings the databases, which a wrong path does not need

    return Lab.open(addresses.address(path), addresses.state(), create=False)


def opened(path: Path) -> Lab:
    """Open a lab, and make it where there is none."""
    from flnb.coordinator import Lab  # brings the databases

    addresses.remember(path)
    return Lab.open(addresses.address(path), addresses.state())


@contextmanager
def reached(path: Path, at: str | None) -> Iterator[Lab | Connection]:
    """Open a lab that is there, or hold a coordinator for as long as the command takes.

    Args:
        path: The lab.
        at: A pass, its file, or a folder; by default the pass in `FLNB_PASS`, unless a lab is named.

    Raises:
        NotFoundError: There is no such lab.
        UnreachableError: Nobody answers there.
        AccessRefusedError: The pass is not good there.
    """
    if at is None and path == output.DEFAULT_LAB and "FLNB_LAB" not in os.environ:
        at = os.environ.get("FLNB_PASS")
    if at is None:
        yield existing(path)
        return
    from flnb.coordinator.control.connect import connect  # brings grpc

    with connect(at) as connection:
        yield connection


@contextmanager
def steered(path: Path, at: str | None) -> Iterator[Lab | Connection]:
    """As `reached`, for a command that changes something.

    What it asks for is done by the coordinator that holds the lab, in its own name for things. One
    that listens is held like any service, as whoever may read the lab's secret; one that does not
    finds in the lab's database what it is asked for.
    """
    with reached(path, at) as there:
        if at is not None or not _is_served(path):
            yield there
            return
        from flnb.coordinator.control.connect import connect  # brings grpc
        from flnb.core.errors import FLBaseError

        try:
            connection = connect(path)
        except FLBaseError:  # it has listened once, and does not now
            yield there
            return
        with connection:
            yield connection


@contextmanager
def waiting(there: Lab | Connection) -> Iterator[threading.Timer | None]:
    """Say who holds the lab if that process does not answer at once."""
    from flnb.coordinator.control.connection import Connection

    if isinstance(there, Connection):  # whoever listens answers by itself
        yield None
        return
    timer = threading.Timer(_SILENT_S, _say_who_holds, [there])
    timer.daemon = True
    timer.start()
    try:
        yield timer
    finally:
        timer.cancel()


def _say_who_holds(lab: Lab) -> None:
    holder = lab.store.holder
    if holder is None or holder.is_here:
        return
    left_s = lab.store.state.leased_for_s()
    free = "" if left_s is None else f"; free in {left_s:.0f} s if it is gone"
    output.say(f"held by {holder}, which does not answer{free}: waiting, ^C ends that")


def _is_served(path: Path) -> bool:
    """Whether a coordinator in another process holds a lab, and has listened in it."""
    from flnb.coordinator.granting import place_of
    from flnb.core.errors import RoundStateError

    lab = existing(path)
    holder = lab.store.holder
    if holder is None or holder.is_here:
        return False
    try:
        place_of(lab)
    except RoundStateError:
        return False
    return True


def is_lab(path: Path) -> bool:
    """Whether a lab lies in a folder."""
    return (path / "state.db").is_file()
