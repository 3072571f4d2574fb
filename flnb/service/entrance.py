"""What a request must show before anything of it is read: Host, Origin, a header, a rate, a length.

Another user of the machine has no token, and is told so by whoever is asked. A page of another site
that a person with a token looks at is kept out here: its `Origin` is not one of ours, under a name
that was made to mean this machine (DNS rebinding) its `Host` is not, and a form cannot send the header
`Flnb-Request` that everything asks for that changes something.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import math
import re
import secrets
from typing import TYPE_CHECKING, Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response

from flnb.service.cors import Cors
from flnb.service.problems import problem
from flnb.service.settings import ServiceSettings
from flnb.service.strangers import TOO_MANY, Strangers, address_of, token_shown
from flnb.transport.limits import Allowance

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send
else:
    ASGIApp = Message = Receive = Scope = Send = (
        Any  # callables that cannot be checked while they run
    )

HEADER = "Flnb-Request"
_READS = frozenset(["GET", "HEAD", "OPTIONS"])
_ANSWERS = "websocket.http.response"
"""What a server says that lets a socket be refused in words."""
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")


class Entrance:
    """Stands before an app, as the outermost middleware.

    Args:
        app: What is behind it.
        settings: Whom to let in.
        strangers: Knows who showed tokens that nobody knows.
    """

    def __init__(self, app: ASGIApp, settings: ServiceSettings, strangers: Strangers) -> None:
        self._app, self._settings, self._strangers = app, settings, strangers
        self._hosts = frozenset(settings.hosts)
        self._cors = Cors(settings)
        per_s = settings.requests_per_s
        self._requests = Allowance(per_s, 2 * per_s)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or say why not."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        asked = headers.get("x-request-id", "")
        named = asked if _REQUEST_ID.fullmatch(asked) else secrets.token_hex(8)
        scope.setdefault("state", {})["request_id"] = named
        answer = self._stopped(scope, headers)

        async def send_on(message: Message) -> None:
            if message["type"].endswith("http.response.start"):
                out = MutableHeaders(scope=message)
                out["X-Request-Id"] = named
                out["X-Content-Type-Options"] = "nosniff"
                self._cors.allow(headers, out)
                if scope["state"].get("unknown_token") and (shown := token_shown(headers)):
                    self._strangers.count(scope, shown)
            await send(message)

        if scope["type"] == "websocket":
            if answer is not None and _ANSWERS not in scope.get("extensions", {}):
                await send({"type": "websocket.close", "code": 4003})  # a bare 403
                return
            await (answer or self._app)(scope, receive, send_on)
            return
        if answer is None:
            answer = self._cors.preflight(scope, headers)
        if answer is None:
            body = await self._body(scope, headers, receive)
            answer = body if isinstance(body, Response) else None
            receive = receive if isinstance(body, Response) else _again(body, receive)
        await (answer or self._app)(scope, receive, send_on)

    def _stopped(self, scope: Scope, headers: Headers) -> Response | None:
        """Why a request goes no further; nothing of its body was read."""
        host = headers.get("host", "").lower()
        if host not in self._hosts:
            return problem(
                scope,
                421,
                "wrong_host",
                f"this service is not called {host[:100]!r}",
                hint=f"call it {min(self._hosts)}",
            )
        if not self._cors.knows(headers):
            return problem(
                scope,
                403,
                "wrong_origin",
                f"pages of {headers.get('origin', '')[:100]!r} may not call this service",
                hint="whoever runs the coordinator can name it with --cors ORIGIN",
            )
        if scope["type"] == "http" and scope["method"] not in _READS and headers.get(HEADER) != "1":
            return problem(
                scope,
                403,
                "header_missing",
                f"what changes something needs the header {HEADER}: 1",
                hint="a form of another site cannot send it; send it with every POST",
            )
        who = _caller(scope, headers)
        if (early_s := self._requests.early_s(who)) > 0:  # what is refused does not count
            return _too_often(
                scope, f"more than {self._settings.requests_per_s:g} requests a second", early_s
            )
        if (early_s := self._strangers.early_s(scope, token_shown(headers))) > 0:
            return _too_often(scope, TOO_MANY, early_s)
        self._requests.spend(who)
        return None

    async def _body(self, scope: Scope, headers: Headers, receive: Receive) -> bytes | Response:
        """Read a body, if it is short and comes soon."""
        most, within_s = self._settings.body_bytes, self._settings.body_timeout_s
        too_long = problem(
            scope,
            413,
            "body_too_long",
            f"a body has at most {most:,} bytes",
            headers={"Connection": "close"},
        )
        length = headers.get("content-length", "0")
        if length.isdecimal() and int(length) > most:
            return too_long
        body, more = bytearray(), scope["method"] not in _READS
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while more:
                    message = await receive()
                    if message["type"] == "http.disconnect":  # it is not as long as was said
                        return problem(scope, 400, "body_broke_off", "the body broke off")
                    body += message.get("body", b"")
                    more = message.get("more_body", False)
                    if len(body) > most:
                        return too_long
                return bytes(body)
        return problem(
            scope,
            408,
            "body_too_slow",
            f"the body did not come within {within_s:g} s",
            headers={"Connection": "close"},
        )


def _too_often(scope: Scope, words: str, early_s: float) -> Response:
    hint, after = f"try again in {early_s:.1f} s", {"Retry-After": str(math.ceil(early_s))}
    return problem(scope, 429, "too_many_calls", words, hint=hint, headers=after)


def _caller(scope: Scope, headers: Headers) -> str:
    """Who is counted: a token, or an address without one."""
    if token := token_shown(headers):
        return hashlib.sha256(token.encode()).hexdigest()
    return address_of(scope)


def _again(body: bytes, receive: Receive) -> Receive:
    """Hand over a body that was read already, then whatever comes."""
    left = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive_on() -> Message:
        return left.pop() if left else await receive()

    return receive_on
