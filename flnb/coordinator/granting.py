"""Letting people hold a coordinator from elsewhere: passes, and the tokens in them."""

from __future__ import annotations

import getpass
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flnb.coordinator.invitations import duration
from flnb.coordinator.listening import Place, issuer_of
from flnb.core import cards
from flnb.core.clock import SYSTEM_CLOCK
from flnb.core.errors import PlanError, RoundStateError, did_you_mean
from flnb.store import LabStore, TokenRecord

if TYPE_CHECKING:
    from flnb.coordinator.lab import Lab

_COMMANDS = {"give", "list", "revoke"}
"""`flnb token revoke` must not be a person."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_OWN_LIFETIME = timedelta(hours=12)


@dataclass(frozen=True, slots=True)
class Grant:
    """A pass, to hand to a person: works until it expires or is revoked."""

    name: str
    role: str
    expires_at: datetime
    text: str
    """The pass: one line. Whoever has it may do what its role may; it is kept nowhere else."""
    certificate: Path | None = None
    """Under mutual TLS the person's certificate and key: a file to hand over by another way."""

    @property
    def command(self) -> str:
        """What to run there."""
        also = f", cert={self.certificate.name!r}" if self.certificate is not None else ""
        return f"coord = flnb.connect({self.text!r}{also})"

    def __repr__(self) -> str:
        """Without the pass itself, which is a secret."""
        return f"Grant({self.name}, {self.role}, until {self.expires_at:%Y-%m-%d %H:%M} UTC)"

    def _repr_mimebundle_(self, **_: object) -> Mapping[str, str]:
        facts = {
            "role": self.role,
            "expires": f"{self.expires_at:%Y-%m-%d %H:%M} UTC",
            "run there": self.command,
        }
        if self.certificate is not None:
            facts["hand over, too"] = str(self.certificate)
        card = cards.card(f"Pass for {self.name}", facts)
        return cards.bundle(f"{self!r}\n{self.command}", card)


class TokenList(Sequence[TokenRecord]):
    """The people's tokens of a lab, newest first; a snapshot, without the tokens themselves."""

    def __init__(self, records: Sequence[TokenRecord]) -> None:
        self._records = tuple(records)

    def __len__(self) -> int:
        return len(self._records)

    def __getitem__(self, index: Any) -> Any:
        return self._records[index]

    def __repr__(self) -> str:
        """One line a token."""
        lines = [f"{one.name}  {one.role}  {token_state(one)}" for one in self._records]
        return "\n".join(lines) or "nobody has a token"

    def _repr_mimebundle_(self, **_: object) -> Mapping[str, str]:
        rows = [(one.name, one.role, token_state(one)) for one in self._records]
        table = cards.table(("name", "role", "state"), rows, left=3)
        return cards.bundle(repr(self), cards.framed(table))


def revoked_words(name: str, count: int) -> str:
    """What became of the passes of a person that were taken back.

    Examples:
        >>> revoked_words("dr-lee", 1)
        '1 pass of dr-lee was good until now and is revoked'
        >>> revoked_words("dr-lee", 2)
        '2 passes of dr-lee were good until now and are revoked'
        >>> revoked_words("dr-lee", 0)
        'no pass of dr-lee was good any more'
    """
    if count == 0:
        return f"no pass of {name} was good any more"
    one = f"1 pass of {name} was good until now and is revoked"
    return one if count == 1 else f"{count} passes of {name} were good until now and are revoked"


def token_state(record: TokenRecord) -> str:
    """How a token stands, in words."""
    if record.revoked_at is not None:
        return f"revoked {record.revoked_at:%Y-%m-%d %H:%M} UTC"
    over = record.expires_at <= SYSTEM_CLOCK.now()
    return f"{'expired' if over else 'good until'} {record.expires_at:%Y-%m-%d %H:%M} UTC"


def grant(store: LabStore, place: Place, name: str, role: str, expires: str) -> Grant:
    """Give a person a pass to a lab's coordinator.

    Args:
        store: The lab's store.
        place: Where the coordinator listens.
        name: Whose it is.
        role: `viewer`, `operator` or `admin`.
        expires: For how long, such as `"7d"`.

    Raises:
        PlanError: Not a name, no such role, or not a time.
        StoreError: A certificate cannot be read or issued.
    """
    from flnb.transport import Pass
    from flnb.transport.tokens import LADDER

    if not _NAME.fullmatch(name) or name in _COMMANDS:
        raise PlanError(
            f"a name has letters, digits, '-', '_' and '.', and is no command; got {name!r}"
        )
    if role not in LADDER:
        raise PlanError(f"no role {role!r} for people", hint=did_you_mean(role, LADDER))
    token, record = written_token(store, name, role, duration(expires))
    folder = place.certificates(store.path)
    certificate = folder.certificate if folder is not None else None
    own = folder.client(name).path if folder is not None and place.mutual_tls else None
    text = Pass(place.address, store.id, name, token, certificate).text
    return Grant(name, role, record.expires_at, text, own)


def grant_by_lab(lab: Lab, name: str, role: str, expires: str) -> Grant:
    """Give a person a pass to a lab whose coordinator may run in another process.

    Raises:
        RoundStateError: No coordinator has listened in this lab yet.
        PlanError: Not a name, no such role, or not a time.
        StoreError: A certificate cannot be read or issued.
    """
    return grant(lab.store, place_of(lab), name, role, expires)


def place_of(lab: Lab) -> Place:
    """Where the coordinator of a lab listens, or listened last.

    Raises:
        RoundStateError: None has listened in this lab yet.
    """
    place = Place.of(lab.path)
    if not place.port:
        raise RoundStateError(
            "no coordinator has listened in this lab yet",
            hint="flnb coordinator serve LAB, or coord.listen() in a notebook",
        )
    return place


def own_token(store: LabStore, role: str = "admin") -> tuple[str, TokenRecord]:
    """Sign a token for oneself: whoever may read a lab's secret is its admin anyway."""
    return written_token(store, f"local-{getpass.getuser()}", role, _OWN_LIFETIME)


class Granting:
    """People's tokens of a coordinator; `Coordinator` inherits it."""

    lab: Lab

    def listen(self) -> str:
        """Open a port, or keep the open one."""
        raise NotImplementedError

    def token(self, name: str, *, role: str = "viewer", expires: str = "30d") -> Grant:
        """Let a person hold this coordinator from elsewhere; listens on loopback if nothing does.

        Args:
            name: Whose it is: letters, digits, `-`, `_` and `.`. A person may have several.
            role: `viewer` sees aggregates, `operator` sees single clients and drives runs, `admin`
                lets others in as well.
            expires: For how long, such as `"12h"` or `"30d"`.

        Returns:
            Shows the line to run there; it is shown here and kept nowhere.

        Raises:
            PlanError: Not a name, no such role, or not a time.
            StoreError: A certificate cannot be read or issued.
        """
        self.listen()
        return grant_by_lab(self.lab, name, role, expires)

    @property
    def tokens(self) -> TokenList:
        """The people's tokens of this lab."""
        return TokenList(self.lab.store.state.tokens())

    def revoke_token(self, name: str) -> int:
        """Take all tokens of a person back; what they have open ends within a second.

        Returns:
            How many still were good.

        Raises:
            NotFoundError: Nobody of that name has one.
        """
        return self.lab.store.state.revoke_tokens(name)


def written_token(
    store: LabStore, name: str, role: str, lifetime: timedelta
) -> tuple[str, TokenRecord]:
    """Sign a token and write its identity down, without which it would be worth nothing."""
    issuer, now = issuer_of(store), SYSTEM_CLOCK.now()
    token = issuer.issue(name, role, lifetime.total_seconds())
    record = TokenRecord(issuer.verify(token).token_id, name, role, now, now + lifetime)
    store.state.add_token(record)
    return token, record
