"""The part of a coordinator that lets remote clients in: listen, invite, who is here, revoke."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flnb.core import cards
from flnb.core.clock import SYSTEM_CLOCK
from flnb.core.errors import PlanError, RoundStateError
from flnb.core.ids import ClientId

if TYPE_CHECKING:
    import pandas as pd

    from flnb.coordinator.lab import Lab
    from flnb.coordinator.loop import LoopThread
    from flnb.coordinator.remote.front import Front
    from flnb.store import ClientRecord, LabStore
    from flnb.transport import Server

_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_PLACE = "listen.json"
_LOOPBACK = {"127.0.0.1", "::1", "localhost"}


@dataclass(frozen=True, slots=True)
class Invitation:
    """What to hand to whoever runs a client; works once, for one key."""

    client: str
    expires_at: datetime
    text: str
    """The invite: one line, or the content of a file. Whoever has it can join under this name."""

    @property
    def command(self) -> str:
        """The line to run where the data is."""
        return f"flnb client join {self.text} --task PACKAGE:FUNCTION --data DIR"

    def __repr__(self) -> str:
        """Without the invite itself, which is a secret."""
        return f"Invitation({self.client}, until {self.expires_at:%Y-%m-%d %H:%M} UTC)"

    def _repr_mimebundle_(self, **_: object) -> Mapping[str, str]:
        facts = {
            "expires": f"{self.expires_at:%Y-%m-%d %H:%M} UTC, or when it has been used",
            "run there": self.command,
        }
        card = cards.card(f"Invitation for {self.client}", facts)
        return cards.bundle(f"{self!r}\n{self.command}", card)


@dataclass(frozen=True, slots=True)
class ClientRow:
    """One remote client, as a person sees it."""

    client: str
    state: str
    """`idle`, `training`, `offline`, or `revoked`."""
    n_examples: int
    last_seen_at: datetime | None
    task: str
    joined_at: datetime


class ClientList(Sequence[ClientRow]):
    """The remote clients of a lab; a snapshot."""

    def __init__(self, rows: Sequence[ClientRow]) -> None:
        self._rows = tuple(rows)

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: Any) -> Any:
        return self._rows[index]

    def __iter__(self) -> Iterator[ClientRow]:
        return iter(self._rows)

    def df(self) -> pd.DataFrame:
        """One row a client."""
        import pandas as pd

        columns = list(ClientRow.__dataclass_fields__)
        values = [[getattr(row, name) for name in columns] for row in self._rows]
        return pd.DataFrame(values, columns=columns)

    def __repr__(self) -> str:
        """One line a client."""
        lines = [f"{row.client}  {row.state}  {row.n_examples:,} examples" for row in self._rows]
        return "\n".join(lines) or "no remote client has joined"

    def _repr_mimebundle_(self, **_: object) -> Mapping[str, str]:
        heads = ("client", "state", "examples", "task", "last seen")
        rows = [
            (
                row.client,
                row.state,
                f"{row.n_examples:,}",
                row.task,
                f"{row.last_seen_at:%H:%M:%S}" if row.last_seen_at else "never",
            )
            for row in self._rows
        ]
        return cards.bundle(repr(self), cards.framed(cards.table(heads, rows, left=2)))


@dataclass(slots=True)
class _Desk:
    """What exists while the coordinator listens."""

    server: Server
    front: Front
    host: str
    port: int
    certificate: bytes | None

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a lab's coordinator listens; remembered in the lab."""

    host: str = "127.0.0.1"
    port: int = 0
    tls: bool = False

    @classmethod
    def of(cls, lab: Path) -> Place:
        """Read what the lab remembers."""
        file = lab / _PLACE
        return cls(**json.loads(file.read_text())) if file.exists() else cls()

    def save(self, lab: Path) -> None:
        """Let the lab remember it."""
        draft = lab / f".{_PLACE}"
        draft.write_text(json.dumps(asdict(self)))
        draft.replace(lab / _PLACE)


class Inviting:
    """Remote clients of a coordinator; `Coordinator` inherits it."""

    lab: Lab
    _desk: _Desk | None = None

    def _thread(self) -> LoopThread:
        raise NotImplementedError

    async def _in_io(self, work: Any, *arguments: Any) -> Any:
        raise NotImplementedError

    def _listening(self) -> None:
        """Called once clients can join: simulated populations take them in."""

    @property
    def address(self) -> str | None:
        """Where remote clients reach this coordinator; None until it listens."""
        return self._desk.address if self._desk is not None else None

    def listen(
        self, host: str | None = None, port: int | None = None, *, tls: bool | None = None
    ) -> str:
        """Open a port for remote clients; one that is open stays.

        The lab remembers the address, so that its clients find the next coordinator there.

        Args:
            host: The address to listen at, as clients name it; by default the one that the lab
                remembers, or loopback.
            port: 0 takes a free one; by default the one that the lab remembers.
            tls: Encrypt, with a certificate from the lab's own authority, which is made when it is
                missing. By default everywhere but on loopback, where it can be left out.

        Returns:
            The address that clients connect to.

        Raises:
            PlanError: Not encrypted, and not on loopback.
            StoreError: The port is taken.
        """
        if self._desk is None:
            place = Place.of(self.lab.path)
            if host is not None and host != place.host:
                place = Place(host, 0, host not in _LOOPBACK)
            port = place.port if port is None else port
            encrypt = place.tls if tls is None else tls
            self._desk = self._thread().call(self._open_desk(place.host, port, encrypt))
            Place(place.host, self._desk.port, encrypt).save(self.lab.path)
            self._listening()
        return self._desk.address

    def invite(self, client: str, *, expires: str = "2h") -> Invitation:
        """Let a remote client join, once, under a name; listens on loopback if nothing does.

        A name that has joined before keeps its history; the new key takes its place.

        Args:
            client: Its name: letters, digits, `-`, `_` and `.`.
            expires: For how long, such as `"30m"`, `"2h"` or `"7d"`.

        Returns:
            Shows the line to run at the client.

        Raises:
            PlanError: Not a name, or not a time.
        """
        self.listen()
        assert self._desk is not None, "it listens now"
        desk = self._desk
        return invitation(self.lab.store, desk.address, desk.certificate, client, expires)

    def revoke(self, client: str, reason: str = "revoked") -> None:
        """Shut a remote client out: its session ends, its tokens and open invites are void.

        Raises:
            NotFoundError: No client of that name has joined or was invited.
        """
        store: LabStore = self.lab.store
        store.state.revoke_client(client, reason, SYSTEM_CLOCK.now())
        if self._desk is not None:
            loop = self._thread().loop
            loop.call_soon_threadsafe(self._desk.front.expel, ClientId(client), reason)

    @property
    def clients(self) -> ClientList:
        """The remote clients that have joined this lab, and what they are doing."""
        desk = self._desk
        return ClientList(
            [
                _row(record, desk.front.state_of(ClientId(record.name)) if desk else "offline")
                for record in self.lab.store.state.clients()
            ]
        )

    async def _open_desk(self, host: str, port: int, encrypt: bool) -> _Desk:
        from flnb.coordinator.remote.front import Front
        from flnb.transport import Limits, Server
        from flnb.transport.certs import Authority
        from flnb.transport.tokens import TokenIssuer, signing_keys

        store: LabStore = self.lab.store
        certificate = server_certificate = None
        if encrypt:
            authority = await asyncio.to_thread(
                Authority.open_or_create, store.path / "tls", f"flnb lab {store.id}"
            )
            certificate = authority.certificate
            server_certificate = authority.issue([host, "localhost", "127.0.0.1"])
        keys = signing_keys(store.secret)
        limits = Limits()
        issuer = TokenIssuer(keys, store.id, current=next(iter(keys)), clock=SYSTEM_CLOCK)
        front = Front(store, issuer, limits, self._in_io)
        server = Server(front, limits)
        try:
            bound = await server.start(host, port, server_certificate)
        except BaseException:
            await front.close()
            raise
        return _Desk(server, front, host, bound, certificate)

    def _close_desk(self) -> None:
        """Say goodbye to clients and free the port."""
        desk, self._desk = self._desk, None
        if desk is not None:

            async def close() -> None:
                await desk.front.close()
                await desk.server.stop(1.0)

            self._thread().call(close())


def invitation(
    store: LabStore, address: str, certificate: bytes | None, client: str, expires: str
) -> Invitation:
    """Let a client join a lab, once.

    Args:
        store: The lab's store.
        address: Where its coordinator listens.
        certificate: Of the lab's authority; None where nothing is encrypted.
        client: The name.
        expires: For how long, such as `"2h"`.

    Raises:
        PlanError: Not a name, or not a time.
    """
    from flnb.store import InviteRecord
    from flnb.transport.invite import Invite, new_join_token, token_hash

    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", client):
        raise PlanError(f"a client's name has letters, digits, '-', '_' and '.', got {client!r}")
    token, now = new_join_token(), SYSTEM_CLOCK.now()
    until = now + _duration(expires)
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
    return Invitation(client, until, Invite(address, store.id, client, token, certificate).text)


def invite_by_lab(lab: Lab, client: str, expires: str) -> Invitation:
    """Let a client join a lab whose coordinator runs in another process.

    Raises:
        RoundStateError: No coordinator has listened in this lab yet.
        PlanError: Not a name, or not a time.
    """
    place = Place.of(lab.path)
    if not place.port:
        raise RoundStateError(
            "no coordinator has listened in this lab yet",
            hint="flnb coordinator serve LAB, or coord.listen() in a notebook",
        )
    certificate = (lab.path / "tls" / "ca.pem").read_bytes() if place.tls else None
    return invitation(lab.store, f"{place.host}:{place.port}", certificate, client, expires)


def clients_of(lab: Lab) -> list[ClientRow]:
    """The remote clients of a lab; those of another process are `offline` as far as we know."""
    return [_row(record) for record in lab.store.state.clients()]


def _row(record: ClientRecord, state: str = "offline") -> ClientRow:
    return ClientRow(
        record.name,
        "revoked" if record.revoked_at is not None else state,
        record.n_examples,
        record.last_seen_at,
        str(record.about.get("task", "")),
        record.joined_at,
    )


def _duration(text: str) -> timedelta:
    found = re.fullmatch(r"(\d+)\s*([smhd])", text.strip())
    if found is None or int(found[1]) == 0:
        raise PlanError(f"not a time: {text!r}", hint="write 30m, 2h or 7d")
    try:
        return timedelta(seconds=int(found[1]) * _UNITS_S[found[2]])
    except OverflowError as error:
        raise PlanError(f"{text!r} is too long", hint="write 30m, 2h or 7d") from error
