"""What goes wrong, in one shape: code, message, hint, details, and the number of the request."""

from __future__ import annotations

import logging
import re
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from flnb.core.errors import FLBaseError, HeadMovedError, NotFoundError, UnknownTokenError

log = logging.getLogger(__name__)

_WORD = re.compile(r"(?<!^)(?=[A-Z])")
_CODES = {404: "not_found", 405: "method_not_allowed", 406: "not_acceptable", 416: "bad_range"}
_RETRY_AFTER_S = {429: 1, 503: 2}
BEARER = {"WWW-Authenticate": 'Bearer realm="flnb"'}
_FIRST_WORDS = 20
"""So many mistakes of one request are told."""


def code_of(error: FLBaseError) -> str:
    """The name of an error's class as it travels.

    Examples:
        >>> code_of(NotFoundError("run", "x"))
        'not_found'
    """
    return code_of_class(type(error))


def code_of_class(kind: type[FLBaseError]) -> str:
    """The same of a class, for who lists them all."""
    return _WORD.sub("_", kind.__name__.removesuffix("Error")).lower()


def request_id_of(scope: Any) -> str:
    """The number of a request, empty before it has one."""
    return str(scope.get("state", {}).get("request_id", ""))


def problem(
    scope: Any,
    status: int,
    code: str,
    message: str,
    *,
    hint: str = "",
    details: dict[str, Any] | None = None,
    headers: dict[str, str] | None = None,
) -> JSONResponse:
    """Make an answer that says what is wrong.

    Args:
        scope: Of the request.
        status: Of HTTP.
        code: For programs; stays the same between versions.
        message: For people.
        hint: What to do.
        details: Numbers and names.
        headers: To send along.
    """
    also = dict(headers or {})
    if status == 401:
        also |= BEARER
    if status in _RETRY_AFTER_S:
        also.setdefault("Retry-After", str(_RETRY_AFTER_S[status]))
    told = {
        "code": code,
        "message": message,
        "hint": hint,
        "details": details or {},
        "request_id": request_id_of(scope),
    }
    return JSONResponse({"error": told}, status, also)


def refused(scope: Any, error: FLBaseError) -> JSONResponse:
    """Say what the coordinator, or this service, refused."""
    details: dict[str, Any] = {}
    if isinstance(error, UnknownTokenError):
        scope.setdefault("state", {})["unknown_token"] = (
            True  # whoever stands before it counts these
        )
    if isinstance(error, NotFoundError):
        details = {"kind": error.kind, "name": str(error.name)}
    elif isinstance(error, HeadMovedError):
        details = {"seen": list(error.seen), "now": list(error.now)}
        if isinstance(error.preview, dict):
            details["preview"] = error.preview
    return problem(
        scope,
        error.http_status,
        code_of(error),
        error.message,
        hint=error.hint,
        details=details,
    )


def speak_in_one_shape(app: FastAPI) -> None:
    """Let an app say in this shape whatever goes wrong in it."""

    async def ours(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, FLBaseError), "it was registered for these"
        return refused(request.scope, error)

    async def malformed(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError), "it was registered for these"
        # Without what was sent, which may hold a secret.
        mistakes = [
            {"where": ".".join(map(str, one["loc"])), "what": one["msg"]}
            for one in error.errors()[:_FIRST_WORDS]
        ]
        said = "; ".join(f"{one['where']}: {one['what']}" for one in mistakes[:3])
        details = {"mistakes": mistakes}
        return problem(request.scope, 422, "bad_input", said, hint="see /docs", details=details)

    async def plain(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException), "it was registered for these"
        code = _CODES.get(error.status_code, "refused")
        headers = dict(error.headers or {})
        return problem(request.scope, error.status_code, code, error.detail, headers=headers)

    async def broken(request: Request, error: Exception) -> JSONResponse:
        log.error("a request failed", exc_info=error, extra={"request": request_id_of(request)})
        return problem(
            request.scope, 500, "internal", "the service failed at this", hint="its log says why"
        )

    app.add_exception_handler(FLBaseError, ours)
    app.add_exception_handler(RequestValidationError, malformed)
    app.add_exception_handler(HTTPException, plain)
    app.add_exception_handler(Exception, broken)
