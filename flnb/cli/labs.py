"""Opening a lab for a command that only looks: it must be there, and it is not made."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from flnb.core.errors import NotFoundError

if TYPE_CHECKING:
    from flnb.coordinator import Lab


def existing(path: Path) -> Lab:
    """Open a lab that is there.

    Raises:
        NotFoundError: There is none.
    """
    if not is_lab(path):
        error = NotFoundError("lab", path)
        error.hint = "say where with --lab DIR or FLNB_LAB, or make one: flnb quickstart"
        raise error
    from flnb.coordinator import Lab  # brings the databases, which a wrong path does not need

    return Lab.open(path)


def is_lab(path: Path) -> bool:
    """Whether a lab lies in a folder."""
    return (path / "state.db").is_file()
