"""What a service is told when it is started: whom to ask, where to serve, whom to let in."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field, PositiveFloat, PositiveInt

from flnb.core.config import Frozen
from flnb.transport.origins import checked_origin


class ServiceSettings(Frozen):
    """Settings of one service; they come over its standard input, as one line of JSON.

    Raises:
        PlanError: One cannot be.
    """

    address: str
    """Of the coordinator: `host:port`."""
    certificate: str = ""
    """The authority that signs the coordinator's certificate (PEM); empty where nothing is encrypted."""
    own: str = ""
    """File with the service's own certificate and key, for coordinators that ask for one."""
    viewer: str = Field(repr=False)
    """A token of a viewer: what it may see goes to listeners who are viewers."""
    operator: str = Field(repr=False)
    """A token of an operator, likewise."""
    fd: int = -1
    """The socket that listens already, as this process inherits it."""
    hosts: tuple[str, ...]
    """What `Host` may say: `host:port`."""
    tls: str = ""
    """File with the certificate and the key that are shown to callers; empty serves without TLS."""
    cors: tuple[Annotated[str, AfterValidator(checked_origin)], ...] = ()
    """Origins of pages elsewhere that may call."""
    token_in_url: bool = False
    """Whether a WebSocket's token may stand in its address."""
    metrics_open: bool = False
    """Whether `/metrics` asks for no token; for a service that only this machine reaches."""
    json_logs: bool = False
    """Whether logs are JSON, for programs, and not lines for people."""
    body_bytes: PositiveInt = 256 * 1024
    """The longest body of a request."""
    body_timeout_s: PositiveFloat = 15.0
    """How long a body may take to come."""
    requests_per_s: PositiveFloat = 100.0
    """Requests of one caller in a second; twice as many at once."""
    downloads: PositiveInt = 8
    """Models that are sent at once; each holds a call at the coordinator for as long as it takes."""

    @property
    def origins(self) -> frozenset[str]:
        """Where a page may come from that calls: the service's own, and those that were named."""
        scheme = "https" if self.tls else "http"
        return frozenset(f"{scheme}://{host}" for host in self.hosts) | frozenset(self.cors)
