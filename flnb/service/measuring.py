"""Counts and logs every request: which route, how it ended, how long it took."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from flnb.core.clock import SYSTEM_CLOCK
from flnb.service.problems import request_id_of
from flnb.service.prometheus import Figures

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send
else:
    ASGIApp = Message = Receive = Scope = Send = Any

log = logging.getLogger(__name__)

_METHODS = frozenset(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
"""Callers may make up others, and each would be a label for ever."""


class Measuring:
    """Stands before an app and all that stands before it.

    Args:
        app: What is behind it.
        figures: Where requests are counted.
    """

    def __init__(self, app: ASGIApp, figures: Figures) -> None:
        self._app, self._figures = app, figures

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began_s, status = SYSTEM_CLOCK.monotonic_s(), 500

        async def send_on(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, send_on)
        finally:
            took_s = SYSTEM_CLOCK.monotonic_s() - began_s
            # By its template: numbers of rounds and names of clients would be labels without end.
            route = str(getattr(scope.get("route"), "path", "other"))
            method = scope["method"] if scope["method"] in _METHODS else "other"
            self._figures.asked(method, route, status, took_s)
            said = {"method": scope["method"], "status": status, "seconds_s": round(took_s, 4)}
            log.info("%s", scope["path"], extra=said | {"request": request_id_of(scope)})
