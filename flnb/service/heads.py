"""`HEAD` is answered as `GET` is, without the body."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.requests import HTTPConnection

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send
else:
    ASGIApp = Message = Receive = Scope = Send = (
        Any  # callables that cannot be checked while they run
    )


class Heads:
    """Asks an app for what `GET` would, and keeps what comes after the headers.

    Args:
        app: What answers; its routes know no `HEAD`.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return
        scope.setdefault("state", {})["head_only"] = True
        inner = {**scope, "method": "GET"}  # a copy: servers look at theirs, whether to send a body

        async def send_on(message: Message) -> None:
            is_body = message["type"] == "http.response.body"
            await send({**message, "body": b""} if is_body else message)

        try:
            await self._app(inner, receive, send_on)
        finally:
            scope["route"] = inner.get("route")  # by which requests are counted


def head_only(request: HTTPConnection) -> bool:
    """Whether nobody waits for the body of an answer, so that it need not be made."""
    return getattr(request.state, "head_only", False)
