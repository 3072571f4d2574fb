"""What a coordinator takes from the wire: its bounds, who is over one, and what gRPC is told.

What is over a bound is refused in words, or waits; nothing is dropped in silence.
"""

from __future__ import annotations

import resource

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from flnb.core.clock import SYSTEM_CLOCK, Clock
from flnb.core.config import Frozen
from flnb.transport.manifest import CHUNK_BYTES, HASH_BYTES

_ROOM_BYTES = 64 * 1024
"""What a message may hold beside a chunk or a manifest."""
_KEPT_FILES = 512
PINGS_S = 90.0
"""Of clients; they are most of what an idle one costs."""
_FRAMES = ("grpc.http2.max_frame_size", 1024 * 1024)
"""A chunk in one frame: in frames of 16 KiB, the default, it costs a fifth more to receive."""
_AHEAD_BYTES = 1024 * 1024
"""What a call may send before it is read, also an upload that waits for its place: gRPC would let
each have 16 MiB on a quick line. It is one message: were it less, the rest of each would cost a round
trip, and uploads over 50 ms would take three times as long."""


class Limits(Frozen):
    """How much of everything a coordinator takes.

    Raises:
        PlanError: A bound is out of range, or a manifest of `model_bytes` does not fit a message.
    """

    message_bytes: int = Field(default=4 * 1024 * 1024, ge=CHUNK_BYTES + _ROOM_BYTES)
    """One message; a longer one is refused before it is read."""
    model_bytes: PositiveInt = 2 * 1024**3
    """The largest model or update."""
    header_bytes: PositiveInt = 16 * 1024
    """All headers of one call, its token among them."""
    clients: PositiveInt = 10_000
    """Sessions that are open at once. Twice as many connections: a long upload has its own."""
    calls_per_connection: PositiveInt = 16
    """Calls at once on one connection; further ones wait at the client."""
    uploads: PositiveInt = 16
    """Updates that are taken in at once; further ones wait."""
    still_upload_s: PositiveFloat = 15.0
    """How long an upload may send nothing while others wait; then its place is theirs."""
    transfers_per_client: PositiveInt = 4
    """Uploads and downloads of one client at once; further ones are refused."""
    requests_per_s: PositiveFloat = 200.0
    """Calls of one client in a second are refused above this, notes of its session wait."""
    sign_ins: PositiveInt = 32
    """Requests to join or sign in that are read at once; a further one takes the place of the one
    that has been read for longest."""
    failed_joins_per_minute: PositiveFloat = 30.0
    """Requests to join that came to nothing, from one address; then it is not heard for a while."""
    spool_bytes: PositiveInt = 16 * 1024**3
    """Updates on the disk that wait to be folded; when it is full, uploads wait."""
    alive_every_s: PositiveFloat = 10.0
    """How often a client of which something is expected says that it is there."""
    lease_s: PositiveFloat = 120.0
    """How long a client may be silent, and a transfer stand still."""
    token_lifetime_s: PositiveFloat = 600.0
    """How long an access token is good for; it is renewed on the open session."""
    sign_in_timeout_s: PositiveFloat = 10.0
    """How long a client may take to say what it wants: handshake, request to join, first note."""

    @property
    def chunk_bytes(self) -> int:
        """One chunk of a model or an update; part of the protocol, so not a setting."""
        return CHUNK_BYTES

    @model_validator(mode="after")
    def _manifest_fits(self) -> Limits:
        needs = self.model_bytes // CHUNK_BYTES * HASH_BYTES + _ROOM_BYTES
        if needs > self.message_bytes:
            raise ValueError(
                f"the manifest of a model of {self.model_bytes / 1e9:.1f} GB needs "
                f"message_bytes={needs}, it is {self.message_bytes}"
            )
        return self


class Allowance:
    """How much each of many may do in a time; what was done is forgotten evenly.

    Args:
        per_s: How much is forgotten in a second.
        at_once: How much may be done at once.
        names: How many are remembered; the oldest are forgotten first, so that strangers cannot
            fill the memory.
        clock: Where time comes from.

    Examples:
        >>> allowance = Allowance(per_s=1.0, at_once=2.0)
        >>> allowance.spend("a"), allowance.spend("a"), allowance.spend("a") > 0.9
        (0.0, 0.0, True)
    """

    def __init__(
        self, per_s: float, at_once: float, names: int = 10_000, clock: Clock = SYSTEM_CLOCK
    ) -> None:
        self._per_s, self._at_once, self._names, self._clock = per_s, at_once, names, clock
        self._done: dict[str, tuple[float, float]] = {}
        """Name to how much was done, and when that was written down."""

    def spend(self, name: str) -> float:
        """Note that one thing more is done.

        Returns:
            For how many seconds it came too early; 0 when it is within the bound.
        """
        now_s = self._clock.monotonic_s()
        done = self._left_over(name, now_s) + 1.0
        self._done.pop(name, None)  # to the end of the order
        self._done[name] = (done, now_s)
        if len(self._done) > self._names:
            del self._done[next(iter(self._done))]
        return self._early_s(done)

    def early_s(self, name: str) -> float:
        """For how many seconds one thing more would come too early."""
        return self._early_s(self._left_over(name, self._clock.monotonic_s()) + 1.0)

    def _early_s(self, done: float) -> float:
        return max(0.0, done - self._at_once) / self._per_s

    def _left_over(self, name: str, now_s: float) -> float:
        done, at_s = self._done.get(name, (0.0, now_s))
        return max(0.0, done - (now_s - at_s) * self._per_s)


def connections_at_most(limits: Limits) -> int:
    """How many connections are taken, and make room for them.

    Each is an open file. The process may open as many as its hard bound says, and keeps some for
    the lab: strangers must not be able to keep a round from being saved.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    most = 2 * limits.clients
    return most if hard == resource.RLIM_INFINITY else min(most, max(2, hard - _KEPT_FILES))


def server_options(limits: Limits) -> list[tuple[str, int]]:
    """What gRPC is told at the coordinator."""
    sign_in_ms = round(limits.sign_in_timeout_s * 1000)
    return [
        _FRAMES,
        ("grpc.http2.bdp_probe", 0),
        ("grpc.http2.lookahead_bytes", _AHEAD_BYTES),
        ("grpc.so_reuseport", 0),  # else a second server shares the port, without a word
        ("grpc.max_receive_message_length", limits.message_bytes),
        ("grpc.max_send_message_length", limits.message_bytes),
        ("grpc.max_metadata_size", limits.header_bytes),
        ("grpc.absolute_max_metadata_size", limits.header_bytes),
        ("grpc.max_concurrent_streams", limits.calls_per_connection),
        ("grpc.max_allowed_incoming_connections", connections_at_most(limits)),
        # gRPC queues so many calls until Python takes them, and turns the rest away.
        ("grpc.server.max_pending_requests", limits.clients),
        ("grpc.server.max_pending_requests_hard_limit", 2 * limits.clients),
        ("grpc.server_handshake_timeout_ms", sign_in_ms),
        ("grpc.http2.settings_timeout", sign_in_ms),
        # No call at all, not even a session. gRPC looks at every connection so often, also at those with
        # calls: at once a minute that was half of what 5,000 idle sessions cost.
        ("grpc.max_connection_idle_ms", 600_000),
        # Clients ping every 90 s, with or without a call; by default that is abuse.
        ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.keepalive_time_ms", 120_000),  # they are first: of each line one end pings
        ("grpc.keepalive_timeout_ms", 20_000),
    ]


def client_options(
    limits: Limits, *, through_proxy: bool, pings_s: float = PINGS_S
) -> list[tuple[str, int]]:
    """What gRPC is told at a client.

    Args:
        limits: Bounds.
        through_proxy: Whether the proxy that the environment names is used.
        pings_s: Between two signs of life of a line on which nothing else goes.
    """
    return [
        _FRAMES,
        ("grpc.max_receive_message_length", limits.message_bytes),
        ("grpc.max_send_message_length", limits.message_bytes),
        ("grpc.max_metadata_size", limits.header_bytes),
        # Find out about a dead connection within 105 s, whoever works by its signs of life within 40; the
        # pings are most of what an idle client costs.
        ("grpc.keepalive_time_ms", round(1000 * pings_s)),
        ("grpc.keepalive_timeout_ms", 15_000),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.max_pings_without_data", 0),
        # The owner waits between its tries; gRPC would let it wait for two minutes more.
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.min_reconnect_backoff_ms", 5_000),  # how long one attempt may take
        ("grpc.max_reconnect_backoff_ms", 1_000),
        ("grpc.enable_retries", 0),
        ("grpc.service_config_disable_resolution", 1),
        ("grpc.enable_http_proxy", int(through_proxy)),
        # Each link has its own connection: sessions of one process must not share its bounds.
        ("grpc.use_local_subchannel_pool", 1),
    ]
