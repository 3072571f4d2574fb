"""The client's side of any call: a channel to a coordinator, and how calls end in our words."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar, cast

import grpc
from grpc import aio

from flnb.core.errors import FLBaseError, PlanError, UnreachableError
from flnb.tensors import keep_freed_memory
from flnb.transport.allocator import MESSAGE_BYTES
from flnb.transport.certs import Certified
from flnb.transport.convert import host_of, is_loopback, told
from flnb.transport.limits import PINGS_S, Limits, client_options

Result = TypeVar("Result")
Status = tuple[grpc.StatusCode, str, dict[str, str | bytes]]

if TYPE_CHECKING:
    AnyCall = aio.Call
    Headers = aio.Metadata
else:
    AnyCall = Headers = Any  # gRPC's own classes cannot be checked while it runs

_CORE_ERROR = "Internal error from Core"
_UNSEEN = "RST_STREAM with error code 7"
_STATUS_TRIES, _STATUS_TRY_S = 200, 0.005


def open_channel(
    address: str,
    certificate: bytes | None,
    limits: Limits,
    own: Certified | None = None,
    *,
    pings_s: float = PINGS_S,
) -> aio.Channel:
    """Open a channel; nothing is said yet.

    Args:
        address: `host:port`.
        certificate: The authority that signs the coordinator's certificate (PEM). Only on
            loopback may there be none.
        limits: Bounds of what the coordinator may send.
        own: The caller's own certificate, for coordinators that ask for one.
        pings_s: Between two signs of life of a line on which nothing else goes.

    Raises:
        PlanError: Not an address, or no certificate for one that others can listen to.
    """
    keep_freed_memory(MESSAGE_BYTES)
    host = host_of(address)
    options = client_options(limits, through_proxy=not is_loopback(host), pings_s=pings_s)
    if certificate is None:
        if not is_loopback(host):
            raise PlanError(
                f"no certificate for {address}",
                hint="ask for an invite or a pass that carries one, or name it with ca=",
            )
        return aio.insecure_channel(address, options)
    pair = (own.key_pem, own.certificate_pem) if own else (None, None)
    credentials = grpc.ssl_channel_credentials(certificate, *pair)
    return aio.secure_channel(address, credentials, options)


def bearer(token: str) -> Headers:
    """The header that says who calls."""
    return aio.Metadata(("authorization", f"Bearer {token}"))


class Ending:
    """How a call ends.

    When something is just being written then, grpcio 1.85 puts an error of its own making in the
    place of the status that was sent, before or after that arrives; so both moments are looked at.
    """

    def __init__(self, call: AnyCall, address: str) -> None:
        self._call, self._address = call, address
        self._status: Status | None = None
        call.add_done_callback(self._look)

    @property
    def unseen(self) -> bool:
        """Whether the other end says that it never looked at the call, so that it may be made again.

        That is what HTTP/2's REFUSED_STREAM means (RFC 9113, section 8.7). A server of gRPC sends it to
        whoever makes calls faster than it forgets those that just ended, however few are open.
        """
        return self._status is not None and _UNSEEN in self._status[1]

    @contextlib.asynccontextmanager
    async def in_our_words(self, within_s: float | None = None) -> AsyncIterator[None]:
        """Raise what the coordinator raised.

        Args:
            within_s: How long to wait for it; a status that was lost would never come.
        """
        try:
            async with asyncio.timeout(within_s):
                yield
        except TimeoutError:
            if within_s is None:
                raise  # a bound of the caller's own
            raise UnreachableError(
                f"nothing came from the coordinator at {self._address} for {within_s:g} s"
            ) from None
        except (aio.AioRpcError, aio.UsageError, asyncio.InvalidStateError):
            raise await self._error() from None
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            raise UnreachableError(f"the link to {self._address} was closed") from None

    async def _error(self) -> FLBaseError:
        for _ in range(_STATUS_TRIES):
            if self._status is not None:
                break
            await asyncio.sleep(_STATUS_TRY_S)
            self._look(self._call)
        return told(*(self._status or (grpc.StatusCode.UNKNOWN, "", {})), self._address)

    def _look(self, call: AnyCall) -> None:
        if self._status is None and call.done():
            details = _at_once(call.details()) or ""
            if details != _CORE_ERROR:
                beside = dict(_at_once(call.trailing_metadata()))
                self._status = _at_once(call.code()), details, beside


def _at_once(value: Coroutine[Any, Any, Result]) -> Result:
    """The result of a coroutine that has nothing to wait for."""
    try:
        value.send(None)
    except StopIteration as done:
        return cast("Result", done.value)
    raise AssertionError("a call that has ended knows how")
