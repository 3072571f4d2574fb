"""Where a coordinator listens, and how: what the lab remembers, what was asked, the open desk."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flnb.core.clock import SYSTEM_CLOCK
from flnb.core.errors import PlanError

if TYPE_CHECKING:
    from flnb.coordinator.remote.front import Front
    from flnb.store import LabStore
    from flnb.transport import Controls, Server, TokenIssuer
    from flnb.transport.handshake import Shown
    from flnb.transport.tls_folder import TlsFolder

_PLACE = "listen.json"


@dataclass(frozen=True, slots=True)
class Place:
    """Where and how a lab's coordinator listens; remembered in the lab."""

    host: str = "127.0.0.1"
    port: int = 0
    tls: bool = False
    tls_dir: str = ""
    """Folder of the certificates; empty is the lab's own, where what is missing is made."""
    mutual_tls: bool = False
    """Whether only clients with a certificate of the authority get through."""
    public: str = ""
    """Where clients reach it, if that is not `host`."""

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

    @property
    def reached(self) -> str:
        """The host that clients connect to, and that the certificate is for."""
        return self.public or self.host

    @property
    def address(self) -> str:
        """Where clients connect to."""
        host = f"[{self.reached}]" if ":" in self.reached else self.reached
        return f"{host}:{self.port}"

    def __str__(self) -> str:
        """For people."""
        how = "mutual TLS" if self.mutual_tls else "TLS" if self.tls else "no TLS"
        return f"{self.address} ({how}{f' of {self.tls_dir}' if self.tls_dir else ''})"

    def is_met_by(self, there: Place) -> bool:
        """Whether whoever listens there does what this place asks for; port 0 is any port."""
        return replace(self, port=self.port or there.port) == there

    def asked(
        self,
        host: str | None,
        port: int | None,
        *,
        tls: bool | None,
        tls_dir: Path | str | None,
        mutual_tls: bool | None,
        public_address: str | None = None,
    ) -> Place:
        """This place with what was asked for; None is left as it is.

        Raises:
            PlanError: Certificates are asked for, and no encryption; or nobody could go there.
        """
        place = self
        if host is not None and host != self.host:
            place = Place(host, tls=not _is_loopback(host))
            if place.tls:
                place = replace(place, tls_dir=self.tls_dir, mutual_tls=self.mutual_tls)
        if public_address:
            place = replace(place, public=public_address)
            place = replace(place, tls=place.tls or not _is_loopback(public_address))
        if tls is False:
            if tls_dir or mutual_tls:
                raise PlanError(
                    "certificates were named for a coordinator that shall not encrypt",
                    hint="leave tls=False out",
                )
            place = replace(place, tls=False, tls_dir="", mutual_tls=False)
        if tls or tls_dir or mutual_tls:
            place = replace(place, tls=True)
        if tls_dir:
            place = replace(place, tls_dir=str(Path(tls_dir).absolute()))
        if mutual_tls is not None:
            place = replace(place, mutual_tls=mutual_tls)
        _check_somewhere(place.reached)
        return place if port is None else replace(place, port=port)

    def certificates(self, lab: Path) -> TlsFolder | None:
        """The folder of the certificates; None where nothing is encrypted."""
        from flnb.transport.tls_folder import TlsFolder

        return TlsFolder(self.tls_dir or lab / "tls") if self.tls else None


@dataclass(slots=True)
class Desk:
    """What exists while the coordinator listens."""

    server: Server
    front: Front
    place: Place
    """With the port that was taken."""


def issuer_of(store: LabStore) -> TokenIssuer:
    """Whoever signs and reads the tokens of a lab."""
    from flnb.transport import TokenIssuer
    from flnb.transport.signing import signing_keys

    keys = signing_keys(store.secret)
    return TokenIssuer(keys, store.id, current=next(iter(keys)), clock=SYSTEM_CLOCK)


async def open_desk(
    store: LabStore,
    place: Place,
    in_io: Callable[..., Awaitable[Any]],
    controls: Callable[[TokenIssuer], Controls],
) -> Desk:
    """Open a port for remote clients and for people; on the coordinator's loop.

    Args:
        store: The lab's store.
        place: Where and how.
        in_io: Does blocking work in the lab's one thread for databases.
        controls: Makes what answers people's programs.

    Raises:
        PlanError: Not encrypted and not on loopback, the port is taken, the certificate is for
            other hosts, or on a public address others could know the key that signs tokens.
        StoreError: A certificate is missing or no longer good.
    """
    from flnb.coordinator.remote.front import Front
    from flnb.transport import Limits, Server
    from flnb.transport.signing import check_secret_file

    if not _is_loopback(place.host) and not store.state.shared:
        check_secret_file(store.path / "secret", place.host)
    shown = await asyncio.to_thread(_certificate, store, place)
    folder = place.certificates(store.path)
    client_ca = folder.certificate if folder is not None and place.mutual_tls else None
    limits, issuer = Limits(), issuer_of(store)
    front = Front(store, issuer, limits, in_io)
    server = Server(front, limits, controls(issuer))
    try:
        await front.tidy()
        port = await server.start(place.host, place.port, shown, client_ca)
    except BaseException:
        await front.close()
        raise
    return Desk(server, front, replace(place, port=port))


def _certificate(store: LabStore, place: Place) -> Shown | None:
    """What shows the newest certificate; of folders that were named, nothing is invented."""
    from flnb.transport.handshake import Newest

    folder = place.certificates(store.path)
    if folder is None:
        return None
    first = (
        folder.server_for(place.reached)
        if place.tls_dir
        else folder.own_server_for(place.reached, f"flnb lab {store.id}")
    )
    return Newest(folder, place.reached, first)


def _check_somewhere(host: str) -> None:
    """Refuse what stands for every address of a machine: nobody elsewhere can connect to that."""
    if host in {"", "0.0.0.0", "::"}:  # noqa: S104
        raise PlanError(
            f"{host or 'an empty host'} is every address of this machine, and clients need one that "
            "they can reach",
            hint="name it with --public-address (public_address=… in Python), or listen at it alone",
        )


def _is_loopback(host: str) -> bool:
    from flnb.transport.convert import is_loopback  # brings gRPC

    return is_loopback(host)
