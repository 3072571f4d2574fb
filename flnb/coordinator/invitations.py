"""Invitations: what to hand to whoever runs a client."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from flnb.coordinator.listening import Place
from flnb.core import cards
from flnb.core.clock import SYSTEM_CLOCK
from flnb.core.errors import PlanError, RoundStateError

if TYPE_CHECKING:
    from flnb.coordinator.lab import Lab
    from flnb.store import LabStore

_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_LONGEST, _DIGITS = timedelta(days=3650), 9
"""Beyond this nobody means it, and moments end with the year 9999; as seconds it has so many digits."""


@dataclass(frozen=True, slots=True)
class Invitation:
    """What to hand to whoever runs a client; works once, for one key."""

    client: str
    expires_at: datetime
    text: str
    """The invite: one line, or the content of a file. Whoever has it can join under this name."""
    certificate: Path | None = None
    """Under mutual TLS the client's certificate and key: a file to hand over beside the line, by
    another way. It is a secret, and it stays one after the client has joined."""

    @property
    def command(self) -> str:
        """The line to run where the data is."""
        line = f"flnb client join {self.text} --task PACKAGE:FUNCTION --data DIR"
        return line if self.certificate is None else f"{line} --cert {self.certificate.name}"

    def __repr__(self) -> str:
        """Without the invite itself, which is a secret."""
        return f"Invitation({self.client}, until {self.expires_at:%Y-%m-%d %H:%M} UTC)"

    def _repr_mimebundle_(self, **_: object) -> Mapping[str, str]:
        facts = {
            "expires": f"{self.expires_at:%Y-%m-%d %H:%M} UTC, or when it has been used",
            "run there": self.command,
        }
        if self.certificate is not None:
            facts["hand over, too"] = str(self.certificate)
        card = cards.card(f"Invitation for {self.client}", facts)
        return cards.bundle(f"{self!r}\n{self.command}", card)


def invitation(store: LabStore, place: Place, client: str, expires: str) -> Invitation:
    """Let a client join a lab, once.

    Args:
        store: The lab's store.
        place: Where its coordinator listens.
        client: The name.
        expires: For how long, such as `"2h"`.

    Raises:
        PlanError: Not a name, or not a time.
        StoreError: Its certificate cannot be read or issued.
    """
    from flnb.store import InviteRecord
    from flnb.transport.invite import Invite, check_client_name, new_join_token, token_hash

    check_client_name(client)
    token, now = new_join_token(), SYSTEM_CLOCK.now()
    until = now + duration(expires)
    folder = place.certificates(store.path)
    certificate = folder.certificate if folder is not None else None
    own = folder.client(client).path if folder is not None and place.mutual_tls else None
    record = InviteRecord(
        token_hash=token_hash(token),
        client=client,
        role="client",
        created_at=now,
        expires_at=until,
        used_by=None,
        revoked_at=None,
    )
    store.state.add_invite(record)
    text = Invite(place.address, store.id, client, token, certificate).text
    return Invitation(client, until, text, own)


def invite_by_lab(lab: Lab, client: str, expires: str) -> Invitation:
    """Let a client join a lab whose coordinator runs in another process.

    Raises:
        RoundStateError: No coordinator has listened in this lab yet.
        PlanError: Not a name, or not a time.
        StoreError: Its certificate cannot be read or issued.
    """
    place = Place.of(lab.path)
    if not place.port:
        raise RoundStateError(
            "no coordinator has listened in this lab yet",
            hint="flnb coordinator serve LAB, or coord.listen() in a notebook",
        )
    return invitation(lab.store, place, client, expires)


def duration(text: str) -> timedelta:
    """Read for how long something is good, such as `2h`.

    Raises:
        PlanError: Not a time, or longer than ten years.
    """
    found = re.fullmatch(r"0*(\d*)\s*([smhd])", text.strip(), re.ASCII)
    if found is None or not found[1]:
        raise PlanError(f"not a time: {text[:40]!r}", hint="write 30m, 2h or 7d")
    digits, unit_s = found[1], _UNITS_S[found[2]]
    if len(digits) > _DIGITS or int(digits) * unit_s > _LONGEST.total_seconds():
        raise PlanError(
            f"{text[:40]!r} is too long: {_LONGEST.days}d at most", hint="write 30m, 2h or 7d"
        )
    return timedelta(seconds=int(digits) * unit_s)
