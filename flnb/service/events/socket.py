"""The WebSocket of events: who listens is known before anything is told, and who does not read goes.

The token comes in the header `Authorization` or in the first message:

    {"type": "hello", "token": "…", "cursor": "812.40.1f3a…", "runs": ["quiet-otter"], "types": []}

All but the token may be left out; with a header they may also stand in the address. Later messages:
`{"type": "resume", "cursor": "…"}` begins again after a cursor, `{"type": "ping"}` is answered.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from starlette.datastructures import Headers

from flnb import __version__
from flnb.core.errors import (
    AccessRefusedError,
    FLBaseError,
    TokenExpiredError,
    UnknownTokenError,
    UnreachableError,
    did_you_mean,
)
from flnb.service.callers import token_of
from flnb.service.events.event import TYPES
from flnb.service.events.fanout import Fanout
from flnb.service.events.hub import Hub
from flnb.service.events.listeners import FORBIDDEN, NOT_NOW, TOKEN, Listener
from flnb.service.gateway import Gateway
from flnb.service.strangers import TOO_MANY, Strangers
from flnb.transport import PROTOCOL
from flnb.transport.v1 import control_pb2 as pb

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send
else:
    Receive = Scope = Send = Any  # callables that cannot be checked while they run

log = logging.getLogger(__name__)

_HELLO_S, _GOODBYE_S = 10.0, 2.0
_WAITING = 1000
_MOST_NAMES = 100
_BAD_MESSAGE = 1008
_REASON_BYTES = 123


@dataclass(frozen=True, slots=True)
class Hello:
    """What a listener asks for."""

    token: str
    cursor: str = ""
    runs: Sequence[str] = ()
    types: Sequence[str] = ()


class _Refusal(Exception):  # noqa: N818  # never leaves this file
    """The socket is closed with a code and a reason."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code, self.reason = code, reason


class EventSocket:
    """Serves `WS /ws/events`, as an ASGI app.

    Args:
        fanout: Everybody who listens.
        gateway: The way to the coordinator.
        strangers: Counts tokens that nobody knows.
        token_in_url: Whether a token may stand in the address.
        waiting: Events that may wait for one listener.
    """

    def __init__(
        self,
        fanout: Fanout,
        gateway: Gateway,
        strangers: Strangers,
        *,
        token_in_url: bool,
        waiting: int = _WAITING,
    ) -> None:
        self._fanout, self._gateway, self._strangers = fanout, gateway, strangers
        self._token_in_url, self._waiting = token_in_url, waiting

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one socket until either end has enough."""
        await receive()  # that it wants to connect
        await send({"type": "websocket.accept"})
        try:
            code, reason = await self._serve(scope, receive, send)
        except _Refusal as refusal:
            code, reason = refusal.code, refusal.reason
        except TimeoutError:
            code, reason = TOKEN, f"no token came within {_HELLO_S:g} s"
        if code:
            with contextlib.suppress(TimeoutError, OSError):
                async with asyncio.timeout(_GOODBYE_S):
                    said = {"code": code, "reason": _short(reason)}
                    await send({"type": "websocket.close", **said})

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> tuple[int, str]:
        """Admit a listener and tell it what happens; why that ended, code 0 if it left."""
        async with asyncio.timeout(_HELLO_S):
            hello = await self._hello(scope, receive)
        if (early_s := self._strangers.early_s(scope, hello.token)) > 0:
            raise _Refusal(NOT_NOW, f"{TOO_MANY}: try again in {early_s:.1f} s")
        hub = self._fanout.hub_of(await self._role(scope, hello.token))
        listener = Listener(self._waiting, hello.runs, hello.types)
        works: list[asyncio.Future[Any]] = [
            asyncio.create_task(_write(listener, send), name="flnb-write"),
            asyncio.create_task(_listen(hub, listener, hello.cursor, receive), name="flnb-listen"),
        ]
        try:
            with self._fanout.admitted(listener, hello.token):
                awaited = [*works, listener.ended]
                done, _ = await asyncio.wait(awaited, return_when=asyncio.FIRST_COMPLETED)
        finally:
            hub.leave(listener)
            for work in works:
                work.cancel()
            await asyncio.gather(*works, return_exceptions=True)
        if listener.ended in done:
            code, reason = listener.ended.result()
            hub.dropped += code == NOT_NOW
            return code, reason
        return await _ending(done.pop())

    async def _hello(self, scope: Scope, receive: Receive) -> Hello:
        headers, asked = Headers(scope=scope), parse_qs(scope["query_string"].decode("latin-1"))
        kind, _, token = headers.get("authorization", "").partition(" ")
        if "token" in asked:
            if not self._token_in_url:
                raise _Refusal(FORBIDDEN, "a token in the address is not taken here")
            kind, token = "bearer", asked["token"][0]
        if kind.lower() == "bearer" and token:
            told = {name: asked.get(name, []) for name in ("runs", "types")}
            return _checked({"token": token, "cursor": asked.get("cursor", [""])[0]} | told)
        return _checked(_message(await receive()))

    async def _role(self, scope: Scope, token: str) -> str:
        """The role of whoever has a token, as the coordinator says."""
        request = pb.StatusRequest(protocol=PROTOCOL, version=__version__)
        try:
            return (await self._gateway.ask(token, "Status", request, pb.StatusReply)).role
        except (UnknownTokenError, TokenExpiredError) as error:
            if isinstance(error, UnknownTokenError):
                self._strangers.count(scope, token)
            raise _Refusal(TOKEN, error.message) from None
        except AccessRefusedError as error:
            raise _Refusal(FORBIDDEN, error.message) from None
        except UnreachableError as error:
            raise _Refusal(NOT_NOW, error.message) from None


async def _write(listener: Listener, send: Send) -> None:
    while True:
        event = await listener.next()
        await send({"type": "websocket.send", "text": event.text})


async def _listen(hub: Hub, listener: Listener, cursor: str, receive: Receive) -> None:
    """Let somebody hear what it asks for, and read what it says until it leaves."""
    while True:
        try:
            await hub.join(listener, cursor)
        except FLBaseError as error:
            raise _Refusal(NOT_NOW, error.message) from None
        cursor = await _next_cursor(listener, receive)
        hub.leave(listener)
        listener.clear()


async def _next_cursor(listener: Listener, receive: Receive) -> str:
    """Read until somebody wants to begin again."""
    while True:
        message = _message(await receive())
        match message.get("type"):
            case "resume":
                return _text(message, "cursor")
            case "ping":
                listener.pong()
            case _:
                raise _Refusal(_BAD_MESSAGE, "a listener says resume or ping")


async def _ending(done: asyncio.Future[Any]) -> tuple[int, str]:
    """Why a socket's work ended by itself."""
    try:
        await done
    except _Refusal as refusal:
        return refusal.code, refusal.reason
    except OSError:  # of the server: it left while it was told something
        return 0, ""
    return 0, ""


def _short(reason: str) -> str:
    """As much of a reason as a closing frame has room for, in whole characters."""
    return reason.encode()[:_REASON_BYTES].decode(errors="ignore")


def _message(received: Mapping[str, Any]) -> dict[str, Any]:
    if received["type"] == "websocket.disconnect":
        raise _Refusal(0, "it left")
    try:
        message = json.loads(received.get("text") or "")
    except (ValueError, RecursionError):
        message = None
    if not isinstance(message, dict):
        raise _Refusal(_BAD_MESSAGE, "messages are JSON objects")
    return message


def _checked(told: Mapping[str, Any]) -> Hello:
    names = {name: told.get(name) or [] for name in ("runs", "types")}
    for name, values in names.items():
        good = isinstance(values, list) and all(isinstance(one, str) for one in values)
        if not good or len(values) > _MOST_NAMES:
            raise _Refusal(_BAD_MESSAGE, f"{name} is a list of at most {_MOST_NAMES} names")
    for kind in names["types"]:
        if kind not in TYPES:
            hint = did_you_mean(kind, TYPES)
            raise _Refusal(_BAD_MESSAGE, f"no event is a {kind[:40]!r}: {hint}")
    token = _text(told, "token")
    if not token or not token.isascii():
        raise _Refusal(TOKEN, "no token came: say hello with one")
    try:
        return Hello(token_of(token), _text(told, "cursor"), **names)
    except UnknownTokenError as error:
        raise _Refusal(TOKEN, error.message) from None


def _text(told: Mapping[str, Any], name: str) -> str:
    value = told.get(name) or ""
    if not isinstance(value, str):
        raise _Refusal(_BAD_MESSAGE, f"{name} is text")
    return value
