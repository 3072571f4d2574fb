"""Where pages get what they show: a coordinator that listens, or the lab's state database alone.

A `Target` is what the server was started for; it opens a `Source` for each role, with a token of
that role, so that what a viewer may see is decided where the table of roles is.
"""

from __future__ import annotations

import os
import threading
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Protocol

from flnb.coordinator import Lab
from flnb.coordinator.control.connect import connect
from flnb.coordinator.control.connection import Connection
from flnb.coordinator.granting import own_token, place_of
from flnb.coordinator.listening import issuer_of
from flnb.coordinator.run import Run
from flnb.core.clock import SYSTEM_CLOCK
from flnb.core.errors import AccessRefusedError, FLBaseError, UnreachableError
from flnb.core.ids import RunId
from flnb.core.view import RunView
from flnb.dashboards.access import Person, named_in, sees_clients
from flnb.store import HIDDEN, RunRecord, Table, aggregates
from flnb.transport import Pass
from flnb.transport.tokens import Role

_MOST_RUNS = 200
"""The newest ones; older ones are found with SQL."""
_OWN_S = 12 * 3600.0


class Source(Protocol):
    """What one role sees of a lab."""

    @property
    def live(self) -> bool:
        """Whether a coordinator answers; else everything comes from the state database."""
        ...

    def views(self) -> dict[RunId, RunView]:
        """The present pictures of the newest runs, newest first.

        Raises:
            FLBaseError: They cannot be had now.
        """
        ...

    def run(self, run: RunId) -> Run:
        """A run as a notebook holds it.

        Raises:
            NotFoundError: There is none.
        """
        ...

    def ask(self, query: str, *, rows: int = 10_000, timeout_s: float = 5.0) -> Table:
        """Answer one SELECT.

        Raises:
            QueryRefusedError: It is not one, asks for what the role may not see, or is over a limit.
        """
        ...

    @property
    def last_write(self) -> datetime | None:
        """When the newest round was closed; None where that does not matter."""
        ...

    @property
    def trouble(self) -> FLBaseError | None:
        """Why it cannot be asked now."""
        ...

    def close(self) -> None:
        """Let it go."""
        ...


class Live:
    """What a coordinator that listens tells a role."""

    live = True

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._runs: dict[RunId, Run] = {}
        self.last_write: datetime | None = None

    def views(self) -> dict[RunId, RunView]:
        """See `Source`; a run is looked up once, and heard of from then on."""
        listed = self.connection.runs().ids[:_MOST_RUNS]
        return {run: self.run(run).view for run in listed}

    def run(self, run: RunId) -> Run:
        """See `Source`."""
        if run not in self._runs:
            self._runs[run] = self.connection.attach(run)
        return self._runs[run]

    def ask(self, query: str, *, rows: int = 10_000, timeout_s: float = 5.0) -> Table:
        """See `Source`."""
        return self.connection.sql(query, rows=rows, timeout_s=timeout_s)

    @property
    def trouble(self) -> FLBaseError | None:
        """See `Source`."""
        if self.connection.ended is not None:
            return self.connection.ended
        answers = self.connection.connected
        return None if answers else UnreachableError("the coordinator does not answer")

    def close(self) -> None:
        """See `Source`."""
        self.connection.close()


class Stored:
    """What the state database of a lab tells a role; never opens `metrics.duckdb`, never takes the lab.

    In a process that holds the lab, its coordinator is asked, as everywhere in that process.
    """

    def __init__(self, lab: Lab, role: str) -> None:
        self._lab, self._role = lab, role
        self._views: dict[RunId, tuple[tuple[object, ...], RunView]] = {}
        self.last_write: datetime | None = None
        self.trouble: FLBaseError | None = None

    @property
    def live(self) -> bool:
        """Whether the coordinator is in this process."""
        return self._lab.coordinator is not None

    def views(self) -> dict[RunId, RunView]:
        """See `Source`; only a run whose row or head moved is read again."""
        coordinator, records = self._lab.coordinator, self._lab.store.state.runs()[:_MOST_RUNS]
        views = {}
        for record in records:
            picture = coordinator.picture(record.id) if coordinator is not None else None
            views[record.id] = self._shown(picture.view if picture else self._stored(record))
        return views

    def _stored(self, record: RunRecord) -> RunView:
        head, held = self._lab.store.state.head(record.id), self._lab.store.holder is not None
        stamp = record.updated_at, record.generation, record.status, head.round, held, record.waits
        known = self._views.get(record.id)
        if known is None or known[0] != stamp:
            known = self._views[record.id] = stamp, self._lab.picture(record).view
            self.last_write = max(self.last_write or record.updated_at, record.updated_at)
            closing = self._lab.store.state.closing(record.id, head.round)
            if closing is not None:
                self.last_write = max(self.last_write, closing.closed_at)
        return known[1]

    def _shown(self, view: RunView) -> RunView:
        return replace(view, error=HIDDEN) if view.error and not sees_clients(self._role) else view

    def run(self, run: RunId) -> Run:
        """See `Source`."""
        return self._lab.run(run)

    def ask(self, query: str, *, rows: int = 10_000, timeout_s: float = 5.0) -> Table:
        """See `Source`."""
        if sees_clients(self._role):
            return self._lab.sql(query, rows=rows, timeout_s=timeout_s)
        if self._lab.coordinator is not None:
            self._lab.coordinator.flush()
            metrics = self._lab.coordinator.lab.store.metrics
            return aggregates(metrics, query, rows=rows, timeout_s=timeout_s)
        with self._lab.store.reader() as metrics:
            return aggregates(metrics, query, rows=rows, timeout_s=timeout_s)

    def close(self) -> None:
        """See `Source`."""


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

    def served(self) -> bool:
        """See `Target`."""
        return True

    def open(self, role: str, person: Person | None = None) -> Source:
        """See `Target`; without a token of the role, one of a person who has it serves."""
        own = self.own()
        if own.role == role or (sees_clients(role) and sees_clients(own.role)):
            return Live(self._connect(own.token))
        if person is None:
            raise AccessRefusedError(f"no token of a {role} is at hand", hint="sign in with one")
        return Live(self._connect(person.token))

    def person(self, token: str) -> Person:
        """See `Target`; the coordinator is asked."""
        text = (Pass.parse(token).token if Pass.begins(token) else token).strip()
        with self._connect(text) as connection:
            return Person(named_in(text), connection.role, text)

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
