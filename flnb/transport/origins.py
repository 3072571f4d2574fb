"""Origins of pages, as browsers write them."""

from __future__ import annotations

import re

from flnb.core.errors import PlanError

_ORIGIN = re.compile(r"https?://(?:[a-z0-9._-]+|\[[0-9a-f:]+\])(?::\d{1,5})?")


def checked_origin(origin: str) -> str:
    """Look whether something is the origin of a page; `*` is none, for it would be everybody.

    Raises:
        PlanError: It is not.

    Examples:
        >>> checked_origin("http://localhost:5173")
        'http://localhost:5173'
    """
    if not _ORIGIN.fullmatch(origin):
        raise PlanError(
            f"{origin!r} is not the origin of a page",
            hint="write scheme, host and port as a browser does, such as http://localhost:5173",
        )
    return origin
