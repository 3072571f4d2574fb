"""Starts the service for people's programs (`flnb.service`) as a process, and ends it.

The socket is opened here and inherited there: a port that is taken is an error of whoever asked for
it, and while a service that died is started again nobody else can take the port. The settings go over
a pipe, since what stands in a command line or an environment others on the machine can read; when
the pipe ends, so does the service.
"""

from __future__ import annotations

import contextlib
import errno
import importlib.util
import json
import logging
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from flnb.coordinator.granting import written_token
from flnb.core.clock import SYSTEM_CLOCK
from flnb.core.errors import FLBaseError, PlanError

if TYPE_CHECKING:
    from flnb.coordinator.listening import Place
    from flnb.store import LabStore

log = logging.getLogger(__name__)

_OWN = {"viewer": "flnb-service-viewer", "operator": "flnb-service-operator"}
"""Role to whose the service's own tokens are."""
_LIFETIME = timedelta(hours=12)
_RENEWED_S = 4 * 3600.0
_FIRST_S, _MOST_S, _STEADY_S = 0.2, 30.0, 60.0
"""Before a service that died is started again; the wait grows until one lives for a while."""
_PORT_S, _AGAIN_S = 3.0, 0.05
"""A service whose coordinator was killed has its port for a moment more."""
_LOOK_S, _END_S = 0.25, 5.0
_BACKLOG = 1024


@dataclass(frozen=True, slots=True)
class HttpPlace:
    """Where and how the service is reached."""

    port: int
    host: str = "127.0.0.1"
    cors: Sequence[str] = ()
    """Origins of pages elsewhere that may call."""
    token_in_url: bool = False
    """Whether a WebSocket's token may stand in its address."""
    metrics_open: bool = False
    """Whether `/metrics` asks for no token; only on loopback."""
    json_logs: bool = False
    """Whether the service logs as JSON."""

    @property
    def hosts(self) -> list[str]:
        """What requests may call it: `host:port`, in small letters."""
        names = [self.host]
        if self.is_loopback:
            names += ["localhost", "127.0.0.1", "::1"]
        told = dict.fromkeys(f"[{name}]" if ":" in name else name.lower() for name in names)
        # A browser does not say the port that its scheme has anyway.
        bare = told if self.port == (80 if self.is_loopback else 443) else ()
        return [*(f"{name}:{self.port}" for name in told), *bare]

    def is_met_by(self, there: HttpPlace) -> bool:
        """Whether what is served there is what this place asks for; port 0 is any port."""
        return replace(self, port=self.port or there.port) == there

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine reaches it."""
        from flnb.transport.convert import is_loopback  # brings gRPC

        return is_loopback(self.host)

    @property
    def url(self) -> str:
        """Where people find it."""
        scheme = "http" if self.is_loopback else "https"
        return f"{scheme}://{self.hosts[0]}"


class Served:
    """The service of one coordinator, as a process that is kept alive.

    Args:
        store: The lab's store.
        grpc: Where the coordinator listens.
        place: Where the service is to be reached; port 0 is any free one.

    Raises:
        PlanError: The port is taken, or what serves is not installed, or others could listen to it
            and nothing is encrypted.
    """

    def __init__(self, store: LabStore, grpc: Place, place: HttpPlace) -> None:
        _check(place, grpc)
        self._store, self._grpc = store, grpc
        self._socket = _listening(place.host, place.port)
        self.place = replace(place, port=self._socket.getsockname()[1])
        self._given: set[str] = set()
        self._ending = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._keeper = threading.Thread(target=self._keep, name="flnb-service", daemon=True)
        self._keeper.start()

    @property
    def pid(self) -> int | None:
        """The process that serves now."""
        return self._process.pid if self._process is not None else None

    def close(self) -> None:
        """End the service and free the port."""
        self._ending.set()
        self._keeper.join()
        self._socket.close()
        with contextlib.suppress(FLBaseError):  # another process may have taken the lab over
            for token in self._given:
                self._store.state.forget_token(token)

    def _keep(self) -> None:
        """Start the service; again when it dies by itself, later each time."""
        wait_s = _FIRST_S
        while not self._ending.is_set():
            began_s = SYSTEM_CLOCK.monotonic_s()
            try:
                ended = self._run()
            except Exception as error:  # such as a full disk: later it may work
                log.exception("the service could not be started")
                ended = type(error).__name__
            if self._ending.is_set():
                return
            lived_s = SYSTEM_CLOCK.monotonic_s() - began_s
            wait_s = _FIRST_S if lived_s > _STEADY_S else wait_s
            log.warning("the service ended by itself (%s); again in %.1f s", ended, wait_s)
            self._ending.wait(wait_s)
            wait_s = min(2 * wait_s, _MOST_S)

    def _run(self) -> str:
        """Let one process serve until it ends or shall end; returns how it ended."""
        number = self._socket.fileno()
        command = [sys.executable, "-m", "flnb.service"]
        with subprocess.Popen(  # noqa: S603  # our own; its session too: ^C in a terminal is not for it
            command, stdin=subprocess.PIPE, pass_fds=[number], start_new_session=True
        ) as process:
            self._process = process
            try:
                _write(process, self._settings(number) | self._tokens())
                renewed_s = SYSTEM_CLOCK.monotonic_s()
                while not self._ending.wait(_LOOK_S) and process.poll() is None:
                    if SYSTEM_CLOCK.monotonic_s() - renewed_s > _RENEWED_S:
                        renewed_s = SYSTEM_CLOCK.monotonic_s()
                        _write(process, self._tokens())
            finally:
                self._process = None
                _end(process)
        return f"exit code {process.returncode}"

    def _settings(self, number: int) -> dict[str, Any]:
        folder = self._grpc.certificates(self._store.path)
        certificate = folder.certificate.decode() if folder is not None else ""
        mutual = folder is not None and self._grpc.mutual_tls
        return {
            "address": self._grpc.address,
            "certificate": certificate,
            "own": str(folder.client("flnb-service").path) if folder and mutual else "",
            "tls": str(folder.path / "server.pem") if folder and not self.place.is_loopback else "",
            "fd": number,
            "hosts": self.place.hosts,
            "cors": list(self.place.cors),
            "token_in_url": self.place.token_in_url,
            "metrics_open": self.place.metrics_open,
            "json_logs": self.place.json_logs,
        }

    def _tokens(self) -> dict[str, str]:
        """Give the service tokens; those before the last ones are worth nothing from now on."""
        state, names = self._store.state, set(_OWN.values())
        old = [one.id for one in state.tokens() if one.name in names and one.id not in self._given]
        made = {
            role: written_token(self._store, name, role, _LIFETIME) for role, name in _OWN.items()
        }
        self._given = {record.id for _, record in made.values()}
        for token in old:
            state.forget_token(token)
        return {role: token for role, (token, _) in made.items()}


def _check(place: HttpPlace, grpc: Place) -> None:
    for package in ("fastapi", "uvicorn", "websockets"):
        if importlib.util.find_spec(package) is None:
            raise PlanError(
                f"the service needs {package}, which is not installed",
                hint="pip install 'flnb[service]'",
            )
    from flnb.transport.origins import checked_origin

    for origin in place.cors:
        checked_origin(origin)
    if place.host in {"", "0.0.0.0", "::"}:  # noqa: S104  # refused, not listened at
        raise PlanError(
            f"{place.host or 'an empty host'} is every address of this machine, and callers must call "
            "the service by a name that it knows",
            hint="name the address that callers use with --http-host (http_host=… in Python)",
        )
    if place.metrics_open and not place.is_loopback:
        raise PlanError(
            f"/metrics must not be open to everybody who reaches {place.host}",
            hint="give Prometheus a token: flnb token prometheus --role viewer",
        )
    if not (place.is_loopback or grpc.tls):
        raise PlanError(
            f"a service on {place.host} must not listen without TLS",
            hint="let the coordinator encrypt (tls=True, --tls-dir): its certificate is shown there, "
            "too; or listen on 127.0.0.1 behind a proxy that encrypts",
        )


def _listening(host: str, port: int) -> socket.socket:
    """Open the port; one that is being freed is waited for.

    Raises:
        PlanError: It is taken, or the address is not this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    give_up_s = SYSTEM_CLOCK.monotonic_s() + _PORT_S
    while True:
        made = socket.socket(family, socket.SOCK_STREAM)
        # So that what is left of old connections is no obstacle; two that listen it does not let be.
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            made.bind((host, port))
            made.listen(_BACKLOG)
        except OSError as error:
            made.close()
            if error.errno == errno.EADDRINUSE and SYSTEM_CLOCK.monotonic_s() < give_up_s:
                time.sleep(_AGAIN_S)
                continue
            taken = (
                "another program has it: stop that, or take another port; port 0 is any free one"
            )
            other = "take an address of this machine, such as 127.0.0.1"
            raise PlanError(
                f"cannot serve HTTP on port {port} of {host}: {error.strerror}",
                hint=taken if error.errno in {errno.EADDRINUSE, errno.EACCES} else other,
            ) from None
        return made


def _write(process: subprocess.Popen[bytes], told: Mapping[str, Any]) -> None:
    assert process.stdin is not None, "it was made with a pipe"
    process.stdin.write(json.dumps(told).encode() + b"\n")
    process.stdin.flush()


def _end(process: subprocess.Popen[bytes]) -> None:
    """Close the pipe, and wait until the service has said goodbye."""
    assert process.stdin is not None, "it was made with a pipe"
    with contextlib.suppress(BrokenPipeError):
        process.stdin.close()
    try:
        process.wait(_END_S)
    except subprocess.TimeoutExpired:
        process.kill()
