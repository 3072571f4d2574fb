"""What a coordinator shows in a TLS handshake: always the newest certificate of its folder."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import suppress

import grpc

from flnb.core.clock import SYSTEM_CLOCK, Clock
from flnb.core.errors import FLBaseError
from flnb.transport.certs import ServerCertificate
from flnb.transport.tls_folder import SERVER_FILE, TlsFolder

log = logging.getLogger(__name__)

_LOOK_EVERY_S = 60.0

Shown = Callable[[], ServerCertificate]
"""Gives the certificate to show now; asked at every handshake, from threads of gRPC."""


class Newest:
    """The newest certificate of a folder.

    It is read again when its file has changed, and looked at every minute: one that is due is
    renewed. Connections that begin later see the new one, open ones go on. When that fails, the
    log says why and the certificate before stays.

    Args:
        folder: The folder.
        host: Under which clients reach the coordinator.
        first: The certificate to begin with.
        clock: Where the time comes from.
    """

    def __init__(
        self,
        folder: TlsFolder,
        host: str,
        first: ServerCertificate,
        *,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._folder, self._host, self._shown, self._clock = folder, host, first, clock
        self._looking = threading.Lock()
        self._seen, self._next_s = self._file(), clock.monotonic_s() + _LOOK_EVERY_S

    def __call__(self) -> ServerCertificate:
        """The certificate to show now."""
        with self._looking:
            now_s = self._clock.monotonic_s()
            if self._file() != self._seen or now_s >= self._next_s:
                self._look()
                self._seen, self._next_s = self._file(), now_s + _LOOK_EVERY_S
            return self._shown

    def _look(self) -> None:
        try:
            self._shown = self._folder.server_for(self._host)
        except FLBaseError as error:
            log.warning("the certificate that is shown stays the one before: %s", error)

    def _file(self) -> tuple[int, int] | None:
        """What changes with the file."""
        with suppress(OSError):
            found = (self._folder.path / SERVER_FILE).stat()
            return found.st_ino, found.st_mtime_ns
        return None


def server_credentials(
    tls: ServerCertificate | Shown, client_ca: bytes | None
) -> grpc.ServerCredentials:
    """What gRPC is told of a coordinator's certificate.

    Args:
        tls: The certificate, or what gives the newest one.
        client_ca: Take only clients with a certificate of this authority (PEM).
    """
    newest: Shown = (lambda: tls) if isinstance(tls, ServerCertificate) else tls
    shown = newest()

    def changed() -> grpc.ServerCertificateConfiguration | None:
        nonlocal shown
        if (now := newest()) == shown:
            return None  # for gRPC: the one before is still good
        shown = now
        return _configuration(now, client_ca)

    first = _configuration(shown, client_ca)
    return grpc.dynamic_ssl_server_credentials(
        first,
        changed,  # type: ignore[arg-type]  # None is allowed, but not in the types
        client_ca is not None,
    )


def _configuration(
    shown: ServerCertificate, client_ca: bytes | None
) -> grpc.ServerCertificateConfiguration:
    pair = (shown.key_pem, shown.certificate_pem)
    return grpc.ssl_server_certificate_configuration([pair], client_ca)
