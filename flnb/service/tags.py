"""Answers that have not changed are not sent again: `ETag` and `If-None-Match`."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from starlette.datastructures import Headers, MutableHeaders

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send
else:
    ASGIApp = Message = Receive = Scope = Send = (
        Any  # callables that cannot be checked while they run
    )

_KEPT = ("etag", "cache-control", "vary", "x-request-id", "access-control-allow-origin")


class Tags:
    """Gives every answer in JSON that was read a tag, and answers 304 to whoever has it.

    Args:
        app: What answers.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http" or scope["method"] != "GET":
            await self._app(scope, receive, send)
            return
        asked, held = Headers(scope=scope).get("if-none-match", ""), list[Message]()

        async def send_on(message: Message) -> None:
            if message["type"] == "http.response.start" and _is_tagged(message):
                held.append(message)
                return
            if not held:
                await send(message)
                return
            if message.get("more_body"):  # it is streamed: too long to be held
                await send(held.pop())
                await send(message)
                return
            start, body = held.pop(), message.get("body", b"")
            for one in _answer(start, body, asked):
                await send(one)

        await self._app(scope, receive, send_on)


def matches(asked: str, tag: str) -> bool:
    """Whether `If-None-Match` names a tag.

    Examples:
        >>> matches('W/"a", "b"', '"a"'), matches("*", '"a"'), matches("", '"a"')
        (True, True, False)
    """
    names = {one.strip().removeprefix("W/") for one in asked.split(",")}
    return "*" in names or tag.removeprefix("W/") in names


def _is_tagged(start: Message) -> bool:
    headers = Headers(raw=start["headers"])
    is_json = headers.get("content-type", "").startswith("application/json")
    return start["status"] == 200 and is_json and "no-store" not in headers.get("cache-control", "")


def _answer(start: Message, body: bytes, asked: str) -> list[Message]:
    headers = MutableHeaders(raw=list(start["headers"]))
    tag = f'W/"{hashlib.sha256(body).hexdigest()[:24]}"'
    headers["ETag"], headers["Cache-Control"] = tag, "private, no-cache"
    headers.add_vary_header("Authorization")
    if not matches(asked, tag):
        return [
            {**start, "headers": headers.raw},
            {"type": "http.response.body", "body": body},
        ]
    kept = [pair for pair in headers.raw if pair[0].decode() in _KEPT]
    return [
        {"type": "http.response.start", "status": 304, "headers": kept},
        {"type": "http.response.body", "body": b""},
    ]
