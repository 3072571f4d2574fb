"""Which pages elsewhere may call: those that were named, by default none.

No cookies are used, so no credentials are allowed: who calls sends a token by itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response

from flnb.service.settings import ServiceSettings

if TYPE_CHECKING:
    from starlette.types import Scope
else:
    Scope = Any

_TOLD = "ETag, Retry-After, X-Request-Id, Content-Range, Accept-Ranges, Content-Disposition"
_MAY_SEND = (
    "Authorization, Content-Type, Flnb-Request, If-None-Match, Range, If-Range, X-Request-Id"
)
_REMEMBERED_S = 600


class Cors:
    """Knows origins.

    Args:
        settings: Names them.
    """

    def __init__(self, settings: ServiceSettings) -> None:
        self._known, self._elsewhere = settings.origins, frozenset(settings.cors)

    def knows(self, headers: Headers) -> bool:
        """Whether a request comes from a page that may call, or from no page at all."""
        origin = headers.get("origin")
        return origin is None or origin.lower() in self._known

    def preflight(self, scope: Scope, headers: Headers) -> Response | None:
        """Answer a browser that asks whether a page may call; None if it is something else."""
        if scope["method"] != "OPTIONS" or "access-control-request-method" not in headers:
            return None
        return Response(
            status_code=204,
            headers={
                "Access-Control-Allow-Methods": "GET, HEAD, POST",
                "Access-Control-Allow-Headers": _MAY_SEND,
                "Access-Control-Max-Age": str(_REMEMBERED_S),
            },
        )

    def allow(self, headers: Headers, out: MutableHeaders) -> None:
        """Tell a browser that the page of a request may read the answer, if it may."""
        if self._elsewhere:
            out.add_vary_header("Origin")
        origin = headers.get("origin", "")
        if origin.lower() in self._elsewhere:
            out["Access-Control-Allow-Origin"] = origin
            out["Access-Control-Expose-Headers"] = _TOLD
