"""What goes wrong, as it travels."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field


class What(BaseModel):
    """Why a request came to nothing."""

    code: str = Field(description="For programs.", examples=["not_found"])
    message: str = Field(description="For people.", examples=["no run 'frist'"])
    hint: str = Field(description="What to do.", examples=["did you mean 'first'?"])
    details: dict[str, Any] = Field(description="Names and numbers.", examples=[{"kind": "run"}])
    request_id: str = Field(
        description="Stands in the logs, too, and in the header X-Request-Id.",
        examples=["34b7409c76d303c2"],
    )


class Problem(BaseModel):
    """What every answer but a good one holds."""

    error: What


_WHY = {
    401: "No token, one that expired or was revoked, or another lab's",
    403: "The token's role is not enough, or the request comes from where none may",
    404: "There is no such thing",
    405: "Not with this method",
    406: "Nothing of what `Accept` names is written here",
    408: "The body came too slowly",
    409: "Not as things stand; when a head moved, `details.preview` is a fresh preview",
    413: "The body is too long",
    421: "The service is not called by this name",
    422: "What was sent cannot be",
    429: "Too many requests; `Retry-After` says when to go on",
    500: "The service or the coordinator failed; its log says why",
    503: "The coordinator does not answer; `Retry-After` says when to try again",
    507: "No space is left where the lab lies",
}
PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem, "description": why} for status, why in _WHY.items()
}
"""For the OpenAPI of every endpoint."""
