"""How a lab is named: where its commits lie, and where its state is kept.

./lab                                        both in a folder
s3://bucket/lab  with  postgresql://host/db  a shared lab: several machines reach it
./lab            with  postgresql://host/db  the same on one site, with commits in a folder
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from flnb.core.errors import AddressError, StoreError
from flnb.store.place import HistoryPlace

STATE_VARIABLE = "DATABASE_URL"
CACHE_VARIABLE = "FLNB_CACHE_DIR"


@dataclass(frozen=True, slots=True)
class LabAddress:
    """A lab as people name it; equal addresses are the same lab."""

    place: HistoryPlace
    state: str | None = field(repr=False)
    """Address of a PostgreSQL database, maybe with a password; None is `state.db` in the folder."""

    @classmethod
    def parse(cls, address: str | Path, state: str | None = None) -> Self:
        """Read an address.

        Args:
            address: A folder, or `s3://bucket/prefix`.
            state: `postgresql://user@host/database`. For S3 `DATABASE_URL` of the environment is the
                default; a folder needs none.

        Raises:
            StoreError: It is neither, or S3 without a database.
        """
        place = HistoryPlace.parse(address)
        if state is None and not place.local:
            state = os.environ.get(STATE_VARIABLE)
            if not state:
                raise AddressError(
                    f"the lab {place} needs a database for its state: S3 has no transactions",
                    hint='flnb.open(…, state="postgresql://user@host/database"), --state, or '
                    f"{STATE_VARIABLE} in the environment",
                )
        if state is not None and place.folder is not None and (place.folder / "state.db").exists():
            raise StoreError(
                f"the lab in {place} keeps its state in the folder, not in a database",
                hint="open it without state=, or name another folder",
            )
        return cls(place, state)


def working_folder(lab_id: str) -> Path:
    """Where this machine keeps what it needs of a shared lab; made if it is missing."""
    home = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    cache = os.environ.get(CACHE_VARIABLE) or f"{home}/flnb"
    folder = Path(cache).expanduser().absolute() / lab_id
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder
