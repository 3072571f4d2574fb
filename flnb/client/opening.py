"""A client's connection: to whom its invite says, with the certificate that it was given."""

from __future__ import annotations

from pathlib import Path

from flnb.core import SYSTEM_CLOCK
from flnb.core.errors import StoreError
from flnb.transport.certified_file import read_certified
from flnb.transport.certs import Certified
from flnb.transport.invite import Invite
from flnb.transport.link import Link


def open_link(invite: Invite, certificate: Path | None) -> Link:
    """Open a connection to the coordinator of an invite.

    Raises:
        StoreError: As `own_certificate`.
    """
    return Link(invite.address, invite.certificate, own=own_certificate(certificate))


def own_certificate(path: Path | None) -> Certified | None:
    """Read the certificate of a client, if it was given one.

    Raises:
        StoreError: It cannot be read, or has expired.
    """
    if path is None:
        return None
    own = read_certified(path, Certified)
    if SYSTEM_CLOCK.now() >= own.expires_at:
        raise StoreError(
            f"the certificate {path} expired on {own.expires_at:%Y-%m-%d}",
            hint="ask whoever runs the coordinator for the renewed file",
        )
    return own
