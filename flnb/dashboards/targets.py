"""What a server of pages is started for: a lab that lies here, or a coordinator elsewhere.

A target opens a source for each kind of roles, with a token of that role, so that what a viewer may
see is decided where the table of roles is.
"""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

from flnb.coordinator import Lab
from flnb.coordinator.control.connect import connect
from flnb.coordinator.control.connection import Connection
from flnb.coordinator.granting import own_token, place_of, written_token
from flnb.coordinator.listening import issuer_of
from flnb.core import glance
from flnb.core.clock import SYSTEM_CLOCK
from flnb.core.errors import AccessRefusedError, FLBaseError
from flnb.dashboards.access import Person, named_in, sees_clients
from flnb.dashboards.sources import Live, Source, Stored
from flnb.transport import Pass
from flnb.transport.tokens import Role

_OWN_S = 12 * 3600.0
_MOST_HELD = 64
_SMALL = 1000
"""Files of fewer bytes say nothing about a disk."""


class Target(Protocol):
    """What a server of pages was started for."""

    name: str
    """What people call the lab, or where its coordinator is."""

    def open(self, role: str, person: Person | None) -> Source:
        """See the lab as a role does.

        Args:
            role: `viewer` or `operator`.
            person: Whose token serves where the target has none of that role.

        Raises:
            FLBaseError: Nothing can be seen now.
        """
        ...

    def served(self) -> bool:
        """Whether it is worth trying to reach a coordinator."""
        ...

    def facts(self) -> Mapping[str, str]:
        """Where it lies and how much there is, for operators."""
        ...

    def close(self) -> None:
        """Let it go."""
        ...

    def person(self, token: str) -> Person:
        """Whose token or pass it is.

        Raises:
            FLBaseError: It is no good here, or nobody can tell now.
        """
        ...

    def own(self) -> Person:
        """Whoever started the server.

        Raises:
            FLBaseError: Nobody can tell now.
        """
        ...

    def connect(self, person: Person) -> Connection:
        """Hold the coordinator as a person, with his own token.

        Raises:
            FLBaseError: It cannot be reached, or he is refused.
        """
        ...


class LabTarget:
    """A lab that this process can read, whoever holds it.

    Args:
        lab: The lab.
    """

    def __init__(self, lab: Lab) -> None:
        self.lab, self.name = lab, lab.name
        self._issuer = issuer_of(lab.store)
        self._signing = threading.Lock()
        self._own: dict[str, tuple[str, datetime]] = {}

    @classmethod
    def at(cls, folder: str | Path) -> LabTarget:
        """A lab that is there."""
        return cls(Lab.open(folder, create=False))

    def served(self) -> bool:
        """See `Target`: a coordinator in another process holds the lab, and has listened in it."""
        holder = self.lab.store.holder
        if holder is None or holder.is_here:
            return False
        try:
            place_of(self.lab)
        except FLBaseError:
            return False
        return True

    def facts(self) -> Mapping[str, str]:
        """See `Target`."""
        store = self.lab.store
        sizes = {part: glance.size(n) for part, n in store.sizes().items() if n > _SMALL}
        free = "" if store.state.shared else glance.size(shutil.disk_usage(store.path).free)
        told = {"Lab": self.lab.address, "Held by": str(store.holder or "nobody"), **sizes}
        if guests := store.state.guests():
            told["Guests"] = ", ".join(map(str, guests.values()))
        return told | ({"Free on that disk": free} if free else {})

    def close(self) -> None:
        """See `Target`."""
        self.lab.store.close()

    def open(self, role: str, person: Person | None = None) -> Source:
        """See `Target`."""
        if not self.served():
            return Stored(self.lab, role)
        return Live(self._connect(self._token(role)))

    def stored(self, role: str) -> Source:
        """The lab as a role sees it without any coordinator."""
        return Stored(self.lab, role)

    def person(self, token: str) -> Person:
        """See `Target`."""
        text = Pass.parse(token).token if Pass.begins(token) else token
        claims = self._issuer.verify(text.strip())
        record = self.lab.store.state.find_token(claims.token_id)
        if record is None or record.revoked_at is not None:
            what = "is not known here" if record is None else "was revoked"
            raise AccessRefusedError(f"the token of {claims.name} {what}", hint="ask for a new one")
        if claims.role is Role.CLIENT:
            raise AccessRefusedError("this token lets a client train, not a person look")
        return Person(claims.name, str(claims.role), text.strip())

    def own(self) -> Person:
        """See `Target`."""
        return self.person(self._token("admin"))

    def connect(self, person: Person) -> Connection:
        """See `Target`."""
        return self._connect(person.token)

    def sign(self, name: str, role: str) -> str:
        """Sign a token for somebody who was let in; good as long as a browser stays signed in.

        Args:
            name: Whose it is, in the list of tokens and in the log.
            role: `viewer`, `operator` or `admin`.
        """
        return written_token(self.lab.store, name, role, timedelta(seconds=_OWN_S))[0]

    def _connect(self, token: str) -> Connection:
        place = place_of(self.lab)
        tls = place.certificates(self.lab.path)
        own = None
        if tls is not None and place.mutual_tls:
            own = tls.client(own_token(self.lab.store)[1].name).path
        return connect(place.address, token, ca=tls.certificate if tls else None, cert=own)

    def _token(self, role: str) -> str:
        """A token of one's own of this role, signed again before it is old."""
        with self._signing:
            known = self._own.get(role)
            if known is None or (known[1] - SYSTEM_CLOCK.now()).total_seconds() < _OWN_S / 2:
                token, record = own_token(self.lab.store, role)
                known = self._own[role] = token, record.expires_at
            return known[0]


class PassTarget:
    """A coordinator elsewhere, as a pass names it.

    Args:
        text: The pass, or the file that holds it.
    """

    def __init__(self, text: str) -> None:
        self._pass = Pass.parse(text)
        self.name = self._pass.address
        self._held: dict[str, Connection] = {}
        self._lock = threading.Lock()

    def served(self) -> bool:
        """See `Target`."""
        return True

    def facts(self) -> Mapping[str, str]:
        """See `Target`."""
        return {"Coordinator at": self._pass.address, "Lab": self._pass.lab}

    def close(self) -> None:
        """See `Target`."""
        with self._lock:
            closing, self._held = list(self._held.values()), {}
        for connection in closing:
            connection.close()

    def open(self, role: str, person: Person | None = None) -> Source:
        """See `Target`; without a token of the role, one of a person who has it serves."""
        own = self.own()
        if own.role == role or (sees_clients(role) and sees_clients(own.role)):
            return Live(self._connect(own.token))
        if person is None:
            raise AccessRefusedError(f"no token of a {role} is at hand", hint="sign in with one")
        return Live(self._connect(person.token))

    def person(self, token: str) -> Person:
        """See `Target`; a connection with the token is held, and ends when it is taken back."""
        text = (Pass.parse(token).token if Pass.begins(token) else token).strip()
        with self._lock:
            held = self._held.pop(text, None)
        if held is not None and held.ended is not None:
            held.close()
            raise held.ended
        held = held or self._connect(text)
        with self._lock:
            self._held[text] = held
            old = [self._held.pop(one) for one in list(self._held)[:-_MOST_HELD]]
        for connection in old:
            connection.close()
        return Person(named_in(text), held.role, text)

    def own(self) -> Person:
        """See `Target`."""
        return self.person(self._pass.token)

    def connect(self, person: Person) -> Connection:
        """See `Target`."""
        return self._connect(person.token)

    def _connect(self, token: str) -> Connection:
        return connect(self._pass.address, token, ca=self._pass.certificate)


def target_of(text: str) -> Target:
    """What a person named: a lab's folder, a pass, or the file that holds one.

    Args:
        text: What was named; `-` is what `FLNB_PASS` or `FLNB_LAB` says.

    Raises:
        PlanError: Neither.
        NotFoundError: There is no lab.
    """
    if text == "-":
        text = os.environ.get("FLNB_PASS") or os.environ.get("FLNB_LAB") or "./lab"
    if Pass.begins(text) or (Path(text).is_file()):
        return PassTarget(text)
    return LabTarget(Lab.open(text, os.environ.get("FLNB_STATE"), create=False))
