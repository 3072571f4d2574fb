"""Answering calls: who calls is known before anything is read, and what fails is said in words.

All calls are handled as streams of raw messages, because only then is nothing of a body read
before it is known who sends it; on the wire a single message is a stream of one. gRPC's own
handlers for single messages read first and ask later.
"""

from __future__ import annotations

import asyncio
import logging
import math
import traceback
from collections.abc import Awaitable, Callable, Mapping
from types import TracebackType
from typing import Any

import grpc
from grpc import aio

from flnb.core.clock import SYSTEM_CLOCK
from flnb.core.errors import (
    AccessRefusedError,
    DamagedError,
    FLBaseError,
    NameTakenError,
    QueryRefusedError,
    StorageFullError,
    StorageUnreachableError,
    StoreError,
    TooManyCallsError,
    UnreachableError,
)
from flnb.transport.call import Call, Context
from flnb.transport.convert import broken, refusal
from flnb.transport.limits import Allowance, Limits
from flnb.transport.tokens import Claims, Role, allows

log = logging.getLogger(__name__)

Answer = Callable[[Call], Awaitable[None]]
Handlers = tuple[str, dict[str, Any]]
"""The name of a service, and the handlers of its methods."""
ReadToken = Callable[[str], Awaitable[Claims]]

_WATCH_S = 0.5
_WHO_GIVES = {
    Role.CLIENT: "a client joins with an invite: flnb client invite NAME",
    Role.VIEWER: "an admin of the lab gives one: flnb token NAME --role viewer",
    Role.OPERATOR: "an admin of the lab gives one: flnb token NAME --role operator",
    Role.ADMIN: "an admin of the lab gives one, as does whoever may write its files: "
    "flnb token NAME --role admin",
}


class Answering:
    """Calls that are being answered, of all services of one server.

    Args:
        limits: Bounds.
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._open: set[asyncio.Task[Any]] = set()
        self._requests = Allowance(limits.requests_per_s, limits.requests_per_s, limits.clients)

    def handlers(self, service: str, answers: Mapping[str, Answer]) -> Handlers:
        """What gRPC is told of a service: its methods by name."""
        return service, {name: self._handler(answer) for name, answer in answers.items()}

    async def drained(self, within_s: float) -> None:
        """Wait until those that were ended have tidied up, which gRPC does not."""
        if self._open:
            await asyncio.wait(tuple(self._open), timeout=within_s)

    async def known(self, call: Call, read_token: ReadToken, needed: Role) -> Claims:
        """Find out who calls, from its headers alone.

        Args:
            call: The call.
            read_token: Reads an access token.
            needed: The role that the call needs.

        Raises:
            AccessRefusedError: No token that is good here, or its role is not enough.
            TooManyCallsError: Too many calls.
        """
        claims = await read_token(call.token)
        call.claims = claims
        if not allows(claims.role, needed):
            raise AccessRefusedError(
                f"this needs the role {needed}, {claims.name} is {claims.role}",
                hint=_WHO_GIVES[needed],
            )
        if (early_s := self._requests.spend(claims.name)) > 0:
            raise TooManyCallsError(
                f"more than {self.limits.requests_per_s:g} calls a second from {claims.name}",
                hint=f"try again in {early_s:.1f} s",
            )
        return claims

    def _handler(self, answer: Answer) -> grpc.RpcMethodHandler[bytes, bytes]:
        async def handle(_requests: Any, context: Context) -> None:
            await self._answer(answer, Call(context, self.limits))

        return grpc.stream_stream_rpc_method_handler(handle)

    async def _answer(self, answer: Answer, call: Call) -> None:
        task = asyncio.current_task()
        assert task is not None, "a coroutine runs in a task"
        self._open.add(task)
        try:
            await answer(call)
            await call.first_is_out()
        except asyncio.CancelledError:
            if task.cancelling():
                raise
            # Something within was cancelled, not this call; gRPC would leave the client waiting.
            await call.refuse(refusal(UnreachableError("the call was ended"), known=True))
        except aio.BaseError:
            raise  # the connection broke
        except Exception as error:
            if isinstance(error, StorageUnreachableError):  # it comes back, and so should they
                log.warning("a call of %s was not answered: %s", call.peer, error.message)
                passing = UnreachableError("the coordinator's database does not answer")
                await call.refuse(refusal(passing, known=call.claims is not None))
            if isinstance(error, FLBaseError) and not _is_ours(error):
                # What was raised and what was sent would hold each other until Python looks.
                traceback.clear_frames(error.__traceback__)
                who = {"client": call.claims.name} if call.claims is not None else {}
                log.info("refused %s: %s", call.peer, error.message, extra=who)
                await call.refuse(refusal(error, known=call.claims is not None))
            log.exception("a call of %s failed", call.peer)
            await call.refuse(broken())
        finally:
            self._open.discard(task)


class Watchdog:
    """Ends a transfer that stands still, or whose token no longer holds.

    Args:
        read_token: Reads the token again, every half second.
        call: The call that the transfer is part of.
    """

    def __init__(self, read_token: ReadToken, call: Call) -> None:
        self._read_token, self._call = read_token, call
        self._reason: Exception | None = None
        self.moved()

    def moved(self) -> None:
        """A chunk went through."""
        self._moved_s = SYSTEM_CLOCK.monotonic_s()

    def at_work(self) -> None:
        """Nothing can move before the answer is worked out, however long that takes."""
        self._moved_s = math.inf

    async def __aenter__(self) -> Watchdog:
        self._transfer = asyncio.current_task()
        self._watching = asyncio.create_task(self._watch(), name="flnb-transfer")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self._watching.cancel()
        if self._reason is not None and self._transfer is not None:
            others = self._transfer.uncancel()
            if kind is asyncio.CancelledError and not others:
                raise self._reason

    async def _watch(self) -> None:
        try:
            await self._holds()
        except Exception as error:
            self._reason = error
            if self._transfer is not None:
                self._transfer.cancel()

    async def _holds(self) -> None:
        lease_s = self._call.limits.lease_s
        while SYSTEM_CLOCK.monotonic_s() - self._moved_s < lease_s:
            await asyncio.sleep(_WATCH_S)
            await self._read_token(self._call.token)
        raise UnreachableError(f"the transfer stood still for {lease_s:g} s")


def _is_ours(error: FLBaseError) -> bool:
    """Whether it is the coordinator's own trouble, and none of the client's business."""
    told = (StorageFullError, QueryRefusedError, NameTakenError, DamagedError)
    return isinstance(error, StoreError) and not isinstance(error, told)
