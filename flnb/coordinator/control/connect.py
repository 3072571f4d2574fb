"""`flnb.connect`: from a pass, an address or a lab's folder to a coordinator in one's hand."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from flnb.coordinator.control.connection import Connection
from flnb.coordinator.control.wire import Wire
from flnb.coordinator.granting import own_token, place_of
from flnb.coordinator.lab import Lab
from flnb.core.clock import SYSTEM_CLOCK
from flnb.core.errors import PlanError, StoreError, UnreachableError
from flnb.transport import ControlLink, Pass
from flnb.transport.certified_file import read_certified

if TYPE_CHECKING:
    from flnb.transport import Certified

_PLACES = ("s3", "postgresql", "postgres")
_RENEW_AT = 0.5
"""Of a token's life; the rest is for what is open then."""


def connect(
    target: str | Path | None = None,
    token: str | None = None,
    *,
    ca: str | Path | bytes | None = None,
    cert: str | Path | None = None,
) -> Connection:
    """Hold a coordinator that runs as a service, here or elsewhere.

    Args:
        target: A pass, as `coord.token` and `flnb token` make it, or the file that holds it; a
            lab's folder, whose coordinator runs in another process of this machine; or an address,
            `host:port`. By default the pass in the environment variable `FLNB_PASS`.
        token: For an address; by default `FLNB_TOKEN` of the environment.
        ca: For an address: certificate of the lab's authority, in PEM, or its file. Without one
            only loopback is spoken to.
        cert: Own certificate and key, for coordinators that ask for one.

    Returns:
        Has the methods of `Coordinator`. `close()` ends the connection, not the coordinator.

    Raises:
        AccessRefusedError: The token is not good there.
        UnreachableError: Nobody answers.
        PlanError: Neither a pass, nor a lab, nor an address with a token.
        RoundStateError: No coordinator has listened in this lab yet.
    """
    end = _end(target, token, ca, None if cert is None else Path(cert))
    own = _own(end.cert)

    def make_link() -> ControlLink:
        return ControlLink(end.address, end.certificate, end.token, own=own)

    try:
        wire = Wire(make_link, renews=end.renews, on_close=end.close)
    except UnreachableError as error:
        if end.renews:
            error.hint = "does a coordinator hold that lab? flnb coordinator serve LAB"
        raise
    return Connection(wire, end.address)


def _own(path: Path | None) -> Certified | None:
    """Read one's own certificate."""
    from flnb.transport import Certified

    return None if path is None else read_certified(path, Certified)


@dataclass(frozen=True, slots=True)
class _End:
    """Whom to call, and what to say there."""

    address: str
    certificate: bytes | None
    token: Callable[[], str]
    cert: Path | None = None
    renews: bool = False
    close: Callable[[], None] = lambda: None


def _end(
    target: str | Path | None, token: str | None, ca: str | Path | bytes | None, cert: Path | None
) -> _End:
    text = os.fspath(target) if target is not None else os.environ.get("FLNB_PASS", "")
    if not text:
        raise PlanError("connect to what?", hint="flnb.connect(pass), or set FLNB_PASS")
    if Pass.begins(text):
        return _by_pass(text, cert)
    if (Path(text).expanduser() / "state.db").is_file():
        return _by_lab(Path(text).expanduser(), cert)
    if Path(text).is_file():
        return _by_pass(text, cert)
    _check_no_place(text)
    token = token or os.environ.get("FLNB_TOKEN")
    if not token:
        raise PlanError(
            f"{text!r} is no pass and no lab; an address needs a token",
            hint="flnb.connect(address, token), or FLNB_TOKEN; flnb token NAME makes a pass",
        )
    return _End(text, _read(ca), lambda: token, cert)


def _check_no_place(text: str) -> None:
    """Refuse where a lab lies and nobody listens: a bucket, a database, a folder without its state."""
    scheme, _, rest = text.partition("://")
    if not (rest and scheme in _PLACES) and not Path(text).expanduser().is_dir():
        return
    what = f"{scheme}://…" if rest else text  # the address of a database may hold a password
    raise PlanError(
        f"{what} is where a lab lies, and no coordinator that could be called",
        hint="look at the lab with flnb.open(address, state=…); call the coordinator that holds it by "
        "a pass, which flnb token NAME --lab ADDRESS makes on its machine",
    )


def _by_pass(text: str, cert: Path | None) -> _End:
    one = Pass.parse(text)
    return _End(one.address, one.certificate, lambda: one.token, cert)


def _by_lab(folder: Path, cert: Path | None) -> _End:
    lab = Lab.open(folder)
    place = place_of(lab)
    tls = place.certificates(lab.path)
    own = _OwnTokens(lab)
    if cert is None and tls is not None and place.mutual_tls:
        cert = tls.client(own.name).path
    certificate = tls.certificate if tls is not None else None
    return _End(place.address, certificate, own.token, cert, renews=True, close=own.close)


class _OwnTokens:
    """Tokens that whoever may read a lab's secret signs for himself, before the last one is old."""

    def __init__(self, lab: Lab) -> None:
        self._store = lab.store
        self._token, self._record = own_token(self._store)

    @property
    def name(self) -> str:
        """Whose they are."""
        return self._record.name

    def token(self) -> str:
        """A token that is good for some hours more."""
        left = self._record.expires_at - SYSTEM_CLOCK.now()
        if left < _RENEW_AT * (self._record.expires_at - self._record.created_at):
            self._token, self._record = own_token(self._store)
        return self._token

    def close(self) -> None:
        """Give the last one back."""
        self._store.state.forget_token(self._record.id)


def _read(ca: str | Path | bytes | None) -> bytes | None:
    if ca is None or isinstance(ca, bytes):
        return ca
    if isinstance(ca, str) and ca.lstrip().startswith("-----BEGIN"):
        return ca.encode()
    try:
        return Path(ca).expanduser().read_bytes()
    except OSError as error:
        raise StoreError(f"the certificate {ca} cannot be read: {error.strerror}") from error
