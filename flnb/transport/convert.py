"""What gRPC says, in words of flnb: refusals, versions of the protocol, addresses.

A refusal travels as a gRPC status whose details are its message; its class, hint and numbers go
beside it, so that the client raises what the coordinator raised. A status that bears no class was
not said by a coordinator: it is the connection that broke.
"""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import json
import re
import socket
from collections.abc import Mapping
from typing import Any, TypeVar

import grpc
from google.protobuf.message import DecodeError, Message

from flnb.core.errors import (
    AccessRefusedError,
    DamagedError,
    FLBaseError,
    HeadMovedError,
    IntegrityError,
    NameTakenError,
    NotFoundError,
    PlanError,
    QueryRefusedError,
    RoundStateError,
    StorageFullError,
    TaskError,
    TokenExpiredError,
    TooManyCallsError,
    UnknownTokenError,
    UnreachableError,
)

PROTOCOL = 4
"""The version of what is said on the wire."""

SERVICE = "flnb.v1.Federation"
REASON_KEY = "flnb-error-bin"

_CODES: dict[type[FLBaseError], grpc.StatusCode] = {
    TokenExpiredError: grpc.StatusCode.UNAUTHENTICATED,
    UnknownTokenError: grpc.StatusCode.UNAUTHENTICATED,
    AccessRefusedError: grpc.StatusCode.PERMISSION_DENIED,
    IntegrityError: grpc.StatusCode.INVALID_ARGUMENT,
    NotFoundError: grpc.StatusCode.NOT_FOUND,
    StorageFullError: grpc.StatusCode.RESOURCE_EXHAUSTED,
    UnreachableError: grpc.StatusCode.UNAVAILABLE,
    TooManyCallsError: grpc.StatusCode.RESOURCE_EXHAUSTED,
    PlanError: grpc.StatusCode.FAILED_PRECONDITION,
    QueryRefusedError: grpc.StatusCode.FAILED_PRECONDITION,
    TaskError: grpc.StatusCode.FAILED_PRECONDITION,
    HeadMovedError: grpc.StatusCode.ABORTED,
    RoundStateError: grpc.StatusCode.FAILED_PRECONDITION,
    NameTakenError: grpc.StatusCode.ALREADY_EXISTS,
    DamagedError: grpc.StatusCode.DATA_LOSS,
    FLBaseError: grpc.StatusCode.FAILED_PRECONDITION,
}
"""The classes that a client can tell apart, with their status; a subclass goes as the nearest."""

_CLASSES = {known.__name__: known for known in _CODES}
_MESSAGE_BYTES = 1500  # a header holds three bytes for each that is not ASCII
_HINT_BYTES = 1000

Anything = TypeVar("Anything", bound=Message)
Refusal = tuple[grpc.StatusCode, str, tuple[tuple[str, bytes], ...]]


def refusal(error: FLBaseError, *, known: bool) -> Refusal:
    """What to end a call with.

    Args:
        error: Why.
        known: Whether it is established who asks.

    Returns:
        Status, details, and what goes beside them.
    """
    kind = next(one for one in type(error).__mro__ if one in _CODES)
    code = _CODES[kind]
    if kind is AccessRefusedError and not known:
        code = grpc.StatusCode.UNAUTHENTICATED
    message = error.message
    fields: dict[str, Any] = {}
    if isinstance(error, StorageFullError):
        # Where the lab lies on the coordinator's disk is nobody else's business.
        fields = {"free_bytes": error.free_bytes}
        message = StorageFullError("the coordinator", error.free_bytes).message
    elif isinstance(error, NotFoundError):
        fields = {"kind": error.kind, "name": _cut(str(error.name), 200)}
    elif isinstance(error, HeadMovedError):
        fields = {"branch": error.branch, "seen": error.seen, "now": error.now}
    reason = {"class": kind.__name__, "hint": _cut(error.hint, _HINT_BYTES), "fields": fields}
    return (
        code,
        _cut(message, _MESSAGE_BYTES),
        ((REASON_KEY, json.dumps(reason, ensure_ascii=False).encode()),),
    )


def broken() -> Refusal:
    """What to end a call with when it failed for a reason that is not the client's."""
    error = FLBaseError("the coordinator failed at this", hint="its log says why")
    return grpc.StatusCode.INTERNAL, *refusal(error, known=True)[1:]


def told(
    code: grpc.StatusCode, details: str, beside: Mapping[str, str | bytes], address: str
) -> FLBaseError:
    """Read the status that a call ended with.

    Args:
        code: The status.
        details: Its words.
        beside: Its trailing metadata.
        address: Whom was called.

    Returns:
        What the coordinator raised, or that it could not be reached.
    """
    try:
        reason = json.loads(beside[REASON_KEY])
        return _rebuilt(reason["class"], details, reason["hint"], reason["fields"])
    except (KeyError, TypeError, ValueError):
        return _unreached(code, details, address)


def _rebuilt(name: str, message: str, hint: str, fields: dict[str, Any]) -> FLBaseError:
    kind = _CLASSES[name]
    error: FLBaseError
    if kind is NotFoundError:
        error = NotFoundError(fields["kind"], fields["name"])
    elif kind is StorageFullError:
        return StorageFullError("the coordinator", int(fields["free_bytes"]))
    elif kind is HeadMovedError:
        error = HeadMovedError(fields["branch"], tuple(fields["seen"]), tuple(fields["now"]))
    else:
        error = kind(message)
    error.hint = str(hint)
    return error


def _unreached(code: grpc.StatusCode, details: str, address: str) -> FLBaseError:
    if code is grpc.StatusCode.UNIMPLEMENTED:
        return FLBaseError(
            f"what answers at {address} does not speak this protocol",
            hint="look at the address; of two versions of flnb, upgrade the older",
        )
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED and "larger than max" in details:
        return IntegrityError(f"a message is too long for {address}: {details}")
    said = _PREAMBLE.sub("", details) or code.name
    if any(sign in details for sign in _WRONG_CERTIFICATE):
        return UnreachableError(
            f"wrong certificate at {address}: {said}",
            hint="it is not the coordinator that gave the invite, or its certificate was made "
            "anew or for another name: ask for a new invite",
        )
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        said = "no answer in time"
    hint = "look whether it runs, and whether this machine can reach it"
    if "Socket closed" in said or "WRONG_VERSION_NUMBER" in said:
        hint += "; where one side wants TLS, or a certificate of the client, it looks like this too"
    return UnreachableError(f"cannot reach the coordinator at {address}: {said}", hint=hint)


_WRONG_CERTIFICATE = ("CERTIFICATE_VERIFY_FAILED", "Hostname Verification", "is not in peer cert")
_PREAMBLE = re.compile(r"^failed to connect to all addresses; last error: [A-Z_]+: \S+: ")


def decoded(kind: type[Anything], raw: bytes) -> Anything:
    """Read a message that came over the wire.

    Raises:
        IntegrityError: It is not one.
    """
    try:
        return kind.FromString(raw)
    except DecodeError as error:
        raise IntegrityError(f"not a {kind.DESCRIPTOR.name}: {error}") from None


def check_protocol(theirs: int, version: str = "") -> None:
    """Look whether a client speaks the protocol that is spoken here.

    Args:
        theirs: Its version of the protocol.
        version: Its version of flnb, for people.

    Raises:
        FLBaseError: Another version.
    """
    if theirs == PROTOCOL:
        return
    older = "client" if theirs < PROTOCOL else "coordinator"
    with_version = f" (flnb {_cut(version, 40)})" if version else ""
    raise FLBaseError(
        f"the client speaks protocol {theirs}{with_version}, the coordinator speaks {PROTOCOL}",
        hint=f"upgrade flnb at the {older}",
    )


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address.

    Examples:
        >>> is_loopback("127.0.0.1"), is_loopback("::1"), is_loopback("0.0.0.0")
        (True, True, False)
    """
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def host_of(address: str) -> str:
    """The host of `host:port` or `[host]:port`.

    Raises:
        PlanError: There is no port.

    Examples:
        >>> host_of("[::1]:7070"), host_of("lab.example:7070")
        ('::1', 'lab.example')
    """
    host, colon, port = address.rpartition(":")
    if not (host and colon and port.isdecimal()):
        raise PlanError(f"not an address: {address!r}", hint="write host:port")
    return host.removeprefix("[").removesuffix("]")


def address_of(host: str, port: int) -> str:
    """`host:port`, with brackets around an address of IPv6."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


async def try_port(host: str, port: int) -> None:
    """Say what is wrong with an address; gRPC only says that something is."""
    hints = {
        errno.EADDRINUSE: "another coordinator or program has it: stop that, or take another port; "
        "port 0 is any free one",
        errno.EACCES: "ports below 1024 are not for everybody: take a higher one",
    }
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        family, kind, protocol, _name, where = found[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(where)
    except OSError as error:
        raise PlanError(
            f"cannot listen on port {port} of {host}: {error.strerror}",
            hint=hints.get(error.errno or 0, "take an address of this machine, such as 127.0.0.1"),
        ) from None


def _cut(text: str, n_bytes: int) -> str:
    raw = text.encode(errors="replace")
    return text if len(raw) <= n_bytes else raw[:n_bytes].decode(errors="ignore") + "…"
