"""The folder of certificates that a coordinator works with: issued, read and renewed in one place.

ca.pem            the authority's certificate: public, what clients trust
ca-key.pem        its key; may be kept elsewhere while nothing is to be issued
server.pem        the coordinator's certificate and key
clients/NAME.pem  a client's certificate and key, to be handed over (mutual TLS)
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from flnb.core.clock import SYSTEM_CLOCK, Clock
from flnb.core.errors import PlanError, StoreError
from flnb.transport.certified_file import read_certified, write_certified
from flnb.transport.certs import (
    KEY_FILE,
    LEAF_DAYS,
    Authority,
    Certified,
    ServerCertificate,
    signed_by,
)
from flnb.transport.hosts import covers
from flnb.transport.invite import check_client_name

log = logging.getLogger(__name__)

SERVER_FILE = "server.pem"
_ALWAYS: tuple[str, ...] = ("localhost", "127.0.0.1")
"""Hosts that a coordinator is reached under from its own machine."""


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate that lies in a folder."""

    path: Path
    names: tuple[str, ...]
    """The hosts of a coordinator, or the name of a client."""
    expires_at: datetime
    changed: bool
    """Whether it was issued just now."""


class TlsFolder:
    """The certificates in a folder.

    Args:
        path: The folder.
        clock: Where the time comes from.
    """

    def __init__(self, path: Path | str, *, clock: Clock = SYSTEM_CLOCK) -> None:
        self.path, self._clock = Path(path), clock

    @property
    def certificate(self) -> bytes:
        """The certificate of its authority, as PEM; the key need not be here.

        Raises:
            StoreError: There is no authority.
        """
        return Authority.certificate_in(self.path)

    def issue_server(self, hosts: Sequence[str], days: int = LEAF_DAYS) -> Issued:
        """Issue the coordinator's certificate; one that is there is replaced.

        Args:
            hosts: Names and addresses under which clients reach it.
            days: How long it is good.

        Raises:
            PlanError: Something is no host, or no time.
            StoreError: There is no authority with its key, or the folder cannot be written.
        """
        made = self._authority().issue(hosts, days)
        write_certified(self.path / SERVER_FILE, made)
        return Issued(self.path / SERVER_FILE, made.hosts, made.expires_at, changed=True)

    def issue_client(self, name: str, days: int = LEAF_DAYS) -> Issued:
        """Issue a client's certificate; one that is there is replaced.

        Args:
            name: The client.
            days: How long it is good.

        Raises:
            PlanError: Not a client's name, or no time.
            StoreError: There is no authority with its key, or the folder cannot be written.
        """
        path = self._client_file(name)
        made = self._authority().issue_client(name, days)
        write_certified(path, made)
        return Issued(path, (name,), made.expires_at, changed=True)

    def client(self, name: str) -> Issued:
        """The certificate to hand to a client: the one that is there, unless it is due.

        Raises:
            PlanError: Not a client's name.
            StoreError: It cannot be read, or must be issued and the authority's key is not here.
        """
        path = self._client_file(name)
        return self._renewed(path) if path.exists() else self.issue_client(name)

    def renew(self) -> list[Issued]:
        """Issue again what is in the last third of its life, or of another authority.

        Returns:
            Every certificate of the folder.

        Raises:
            StoreError: There is no authority with its key, or a file cannot be read.
        """
        server = self.path / SERVER_FILE
        files = [server] if server.exists() else []
        return [self._renewed(file) for file in (*files, *self._client_files())]

    def server_for(self, host: str) -> ServerCertificate:
        """The coordinator's certificate, renewed if it is due; it must be good for a host.

        Args:
            host: Under which clients reach it.

        Raises:
            PlanError: It is for other hosts.
            StoreError: There is none, or it is not good and cannot be renewed here.
        """
        path, again = self.path / SERVER_FILE, f"flnb certs issue {host} --dir {self.path}"
        if not path.exists():
            raise StoreError(f"there is no certificate of a coordinator in {self.path}", hint=again)
        if (self.path / KEY_FILE).exists() and self._renewed(path).changed:
            log.info("the certificate %s was renewed", path)
        found = read_certified(path, ServerCertificate)
        if not covers(found.hosts, host):
            hosts = ", ".join(found.hosts)
            raise PlanError(f"the certificate {path} is for {hosts}, not for {host}", hint=again)
        if not signed_by(found.certificate_pem, self.certificate):
            raise StoreError(f"the authority in {self.path} did not issue {path}", hint=again)
        if self._clock.now() >= found.expires_at:
            raise StoreError(
                f"the certificate {path} expired on {found.expires_at:%Y-%m-%d}", hint=again
            )
        return found

    def own_server_for(self, host: str, authority: str) -> ServerCertificate:
        """The coordinator's certificate for a host; whatever is missing is made.

        Args:
            host: Under which clients reach it; added to those that it is good for.
            authority: What to call the authority, should there be none.

        Raises:
            PlanError: Not a host.
            StoreError: The folder cannot be read or written.
        """
        Authority.open_or_create(self.path, authority, clock=self._clock)
        path, hosts = self.path / SERVER_FILE, _ALWAYS
        if path.exists():
            hosts = read_certified(path, ServerCertificate).hosts
        if not path.exists() or not covers(hosts, host):
            self.issue_server([host, *hosts])
        return self.server_for(host)

    def _authority(self) -> Authority:
        return Authority.open(self.path, clock=self._clock)

    def _client_file(self, name: str) -> Path:
        check_client_name(name)
        return self.path / "clients" / f"{name}.pem"

    def _client_files(self) -> list[Path]:
        return sorted((self.path / "clients").glob("*.pem"))

    def _renewed(self, path: Path) -> Issued:
        authority = self._authority()
        if path == self.path / SERVER_FILE:
            server = read_certified(path, ServerCertificate)
            if days := authority.days_to_renew(server):
                return self.issue_server(server.hosts, days)
            return Issued(path, server.hosts, server.expires_at, changed=False)
        client = read_certified(path, Certified)
        if days := authority.days_to_renew(client):
            return self.issue_client(path.stem, days)
        return Issued(path, (path.stem,), client.expires_at, changed=False)
